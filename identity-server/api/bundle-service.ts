// The Bundle service: the authorities of the own trust domain, for anybody who asks, and those of others.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Handlers } from '../../daemon/grpc/server.ts';
import type { Bundle as BundleService } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { emptyBundle, withAuthorities, type Additions } from '../ca/bundle-changes.ts';
import type { Bundle } from '../store/store.ts';
import { bundleMessage, certificatesOf, keyMessage, keyOf, keysOf } from './bundle-message.ts';
import type { Caller } from './caller.ts';
import { reading } from './convert.ts';
import {
  creating,
  deleteBundles,
  expectForeign,
  setting,
  updating,
  writeBundles,
} from './federated-bundles.ts';
import { expectFits, pageOf } from './paging.ts';
import type { ServiceOptions } from './services.ts';
import { expectJwt, expectWit } from './token-svids.ts';

const NO_PAGES = 'this call has no page_size; use output_mask to ask for less';

export function bundleService(options: ServiceOptions): Handlers<typeof BundleService, Caller> {
  const { registry, store, trustDomain, ca } = options;
  const own = (): Bundle => {
    const bundle = registry.bundles.bundle(trustDomain);
    if (bundle === undefined) throw new RpcError('NOT_FOUND', 'bundle not found');
    return { ...bundle, refreshHint: options.refreshHint };
  };
  const append = async (additions: Additions): Promise<void> => {
    await store.updateBundle(trustDomain, (before = emptyBundle(trustDomain)) => {
      const after = withAuthorities(before, additions);
      return after === before ? undefined : after;
    });
    await registry.catchUp();
  };
  return {
    async countBundles() {
      return { count: registry.bundles.bundles().length };
    },
    async getBundle({ outputMask }) {
      return expectFits(bundleMessage(own(), outputMask), NO_PAGES);
    },
    async appendBundle({ x509Authorities, jwtAuthorities, witAuthorities, outputMask }) {
      if (x509Authorities.length + jwtAuthorities.length + witAuthorities.length === 0) {
        throw new RpcError('INVALID_ARGUMENT', 'no authorities to append');
      }
      if (witAuthorities.length > 0) expectWit(ca);
      await append(
        reading(undefined, () => ({
          x509Authorities: certificatesOf(x509Authorities),
          jwtAuthorities: keysOf(jwtAuthorities, 'JWT'),
          witAuthorities: keysOf(witAuthorities, 'WIT'),
        })),
      );
      return expectFits(bundleMessage(own(), outputMask), NO_PAGES);
    },
    async publishJWTAuthority({ jwtAuthority }) {
      expectJwt(ca);
      if (jwtAuthority === undefined) throw new RpcError('INVALID_ARGUMENT', 'missing JWT authority');
      await append({ jwtAuthorities: [reading('invalid JWT authority', () => keyOf(jwtAuthority))] });
      return { jwtAuthorities: own().jwtAuthorities.map(keyMessage) };
    },
    async publishWITAuthority({ witAuthority }) {
      expectWit(ca);
      if (witAuthority === undefined) throw new RpcError('INVALID_ARGUMENT', 'missing WIT authority');
      await append({ witAuthorities: [reading('invalid WIT authority', () => keyOf(witAuthority))] });
      return { witAuthorities: own().witAuthorities.map(keyMessage) };
    },
    async listFederatedBundles({ outputMask, pageSize, pageToken }) {
      const page = pageOf(
        registry.bundles.bundles(),
        { pageSize, pageToken },
        {
          order: 'name',
          keyOf: (bundle) => bundle.trustDomain,
          wanted: (bundle) => bundle.trustDomain !== trustDomain,
          messageOf: (bundle) => bundleMessage(bundle, outputMask),
        },
      );
      return { bundles: page.items, nextPageToken: page.nextPageToken };
    },
    async getFederatedBundle({ trustDomain: name, outputMask }) {
      const asked = reading('trust domain argument is not valid', () => parseTrustDomain(name));
      reading(undefined, () => expectForeign(asked, 'getting', options));
      const bundle = registry.bundles.bundle(asked);
      if (bundle === undefined) throw new RpcError('NOT_FOUND', 'bundle not found');
      return expectFits(bundleMessage(bundle, outputMask), NO_PAGES);
    },
    batchCreateFederatedBundle: ({ bundle, outputMask }) =>
      writeBundles(bundle, { verb: 'creating', write: creating, outputMask }, options),
    batchUpdateFederatedBundle: ({ bundle, inputMask, outputMask }) =>
      writeBundles(bundle, { verb: 'updating', write: updating(inputMask), outputMask }, options),
    batchSetFederatedBundle: ({ bundle, outputMask }) =>
      writeBundles(bundle, { verb: 'setting', write: setting, outputMask }, options),
    batchDeleteFederatedBundle: (request) => deleteBundles(request, options),
  };
}
