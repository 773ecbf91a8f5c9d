// Hostile answers of an endpoint, and hostile addresses: no exception but SpiffeError. `SIGIL_FUZZ_RUNS` sets how many cases of
// each property run (default 2,000).
import { create } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { testAuthority } from '../../test/support/authority.ts';
import { tokenAuthority } from '../../test/support/token-authority.ts';
import {
  JWTBundlesResponseSchema,
  JWTSVIDResponseSchema,
  ValidateJWTSVIDResponseSchema,
  WITBundlesResponseSchema,
  WITSVIDResponseSchema,
  X509BundlesResponseSchema,
  X509SVIDResponseSchema,
} from '../api/gen/spiffe/workload/workload_pb.ts';
import { SpiffeError } from '../error.ts';
import type { X509Svid } from '../x509-svid/x509-svid.ts';
import { workloadApiTarget } from './endpoint.ts';
import { readJwtBundles, readJwtSvids, readValidation } from './jwt-context.ts';
import { readWitBundles, readWitSvids } from './wit-context.ts';
import { neverBackwards, readX509Bundles, readX509Context } from './x509-context.ts';

const RUNS = Number(process.env['SIGIL_FUZZ_RUNS'] ?? 2_000);
const LONG = { timeout: 60_000 + RUNS * 5 };
const tokens = tokenAuthority();

function expectTame(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(SpiffeError);
  }
}

let svid: X509Svid;
let root: Uint8Array;
let jwt: string;
let wit: Awaited<ReturnType<typeof tokens.wit>>;

beforeAll(async () => {
  const authority = await testAuthority();
  svid = await authority.issue('/web');
  root = authority.certificate.der;
  [jwt, wit] = [(await tokens.jwt()).svid, await tokens.wit()];
});

const id = fc.oneof(
  fc.constantFrom('spiffe://example.org/web', 'spiffe://example.org', 'example.org', '__proto__', ''),
  fc.string(),
);
const hint = fc.oneof(fc.constantFrom('', 'a', '__proto__'), fc.string());
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc.nat({ max: 2 }).map((index) => [svid.certificates[0]!, svid.privateKey, root][index]!),
);
const text = fc.oneof(
  fc.string(),
  fc.nat({ max: 3 }).map((index) => [jwt, wit.witSvid, wit.witSvidKey, '{"keys":[]}'][index]!),
  fc.json(),
);
const list = <T>(entry: fc.Arbitrary<T>) => fc.array(entry, { maxLength: 4 });
const encode = (value: string) => new TextEncoder().encode(value);

describe('hostile answers', () => {
  it('of the X.509 profile', LONG, () => {
    const entry = fc.record({ spiffeId: id, x509Svid: bytes, x509SvidKey: bytes, bundle: bytes, hint });
    const map = fc.dictionary(id, bytes, { maxKeys: 3 });
    fc.assert(
      fc.property(list(entry), map, (svids, federatedBundles) => {
        expectTame(() => {
          const context = readX509Context(create(X509SVIDResponseSchema, { svids, federatedBundles }));
          return neverBackwards(context, context, Date.now());
        });
        expectTame(() => readX509Bundles(create(X509BundlesResponseSchema, { bundles: federatedBundles })));
      }),
      { numRuns: RUNS },
    );
  });

  it('of the JWT profile', LONG, () => {
    const entry = fc.record({ spiffeId: id, svid: text, hint });
    const claims = fc.dictionary(fc.oneof(fc.constant('aud'), fc.string()), fc.jsonValue(), { maxKeys: 4 });
    fc.assert(
      fc.property(
        list(entry),
        fc.dictionary(id, text.map(encode), { maxKeys: 3 }),
        id,
        claims,
        (svids, bundles, spiffeId, c) => {
          const asked = { audience: ['a'], id: undefined };
          expectTame(() => readJwtSvids(create(JWTSVIDResponseSchema, { svids }), asked));
          expectTame(() => readJwtBundles(create(JWTBundlesResponseSchema, { bundles })));
          const validation = create(ValidateJWTSVIDResponseSchema, {
            spiffeId,
            claims: c as Record<string, string>,
          });
          expectTame(() => readValidation(validation, 'a'));
        },
      ),
      { numRuns: RUNS },
    );
  });

  it('of the WIT profile', LONG, () => {
    const entry = fc.record({ spiffeId: id, witSvid: text, witSvidKey: text, hint });
    const experimental = { wit: true };
    fc.assert(
      fc.property(list(entry), fc.dictionary(id, text, { maxKeys: 3 }), (svids, bundles) => {
        expectTame(() => readWitSvids(create(WITSVIDResponseSchema, { svids }), { experimental }));
        expectTame(() => readWitBundles(create(WITBundlesResponseSchema, { bundles })));
      }),
      { numRuns: RUNS },
    );
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  it('addresses: any text is an address or a SpiffeError, in linear time', LONG, () => {
    const part = fc.constantFrom(
      'unix:',
      'tcp:',
      '//',
      '/',
      '127.0.0.1',
      '[::1]',
      ':',
      '80',
      '?',
      '#',
      '@',
      'a',
      '\0',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(part, { maxLength: 8 }).map((parts) => parts.join('')),
        ),
        (uri) =>
          expectTame(() => expect(workloadApiTarget(uri || ' ')).toMatch(/^(unix:\/[^/]|unix:\/$|ipv[46]:)/)),
      ),
      { numRuns: RUNS },
    );
    const started = performance.now();
    for (const uri of [
      `tcp://${'1'.repeat(1_000_000)}`,
      `unix://${'a'.repeat(1_000_000)}`,
      `tcp://[${':'.repeat(1_000_000)}]:1`,
    ])
      expectTame(() => workloadApiTarget(uri));
    expect(performance.now() - started).toBeLessThan(1_500);
  });
});
