// Fetches a bundle from an endpoint once, by either profile (Federation 5.2): redirects, status, size, time.
import { MAX_BUNDLE_BYTES, parseSpiffeBundle, type ParseBundleOptions } from '../bundle/parse-bundle.ts';
import type { SpiffeBundle } from '../bundle/spiffe-bundle.ts';
import type { X509BundleSource } from '../bundle/x509-bundle.ts';
import { SpiffeError } from '../error.ts';
import { sentChain } from '../tls/sent-chain.ts';
import { verifyX509Svid } from '../x509-svid/verify.ts';
import { parseEndpointUrl, redirectTarget } from './endpoint-url.ts';
import { httpsGet, type ServerProof } from './https-get.ts';
import type { FederationRelationship } from './relationship.ts';

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const MAX_REDIRECTS = 5;

/** Options of {@link fetchBundle}. */
export interface FetchBundleOptions extends ParseBundleOptions {
  /** For `https_spiffe`: where the bundle of the endpoint's trust domain is found. */
  readonly endpointBundles?: X509BundleSource;
  /** For `https_web`: the trusted CAs, PEM. Default: the runtime's list. */
  readonly webAuthorities?: readonly string[];
  /** The largest document, in bytes. Default 4 MiB. */
  readonly maxBytes?: number;
  /** The time for everything, redirects too, in milliseconds. Default 30,000. */
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: () => number;
}

/**
 * Fetches the bundle of a relationship's trust domain. A redirect is followed only to another valid endpoint URL, whose
 * server must prove itself in the same way (for `https_spiffe`: by the same SPIFFE ID), and is not remembered (5.2.3).
 *
 * @throws SpiffeError `ERR_FEDERATION` (connection, status, redirect, size, time), `ERR_BUNDLE` (document), and every
 * code of `verifyX509Svid` and `ERR_SVID_UNEXPECTED_ID` (`https_spiffe`).
 */
export async function fetchBundle(
  relationship: FederationRelationship,
  options: FetchBundleOptions = {},
): Promise<SpiffeBundle> {
  const timer = AbortSignal.timeout(options.timeout ?? 30_000);
  const signal = options.signal === undefined ? timer : AbortSignal.any([options.signal, timer]);
  const proof = proofOf(relationship, options);
  let url = parseEndpointUrl(relationship.url);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await httpsGet(url, { proof, signal, maxBytes: options.maxBytes ?? MAX_BUNDLE_BYTES });
    if (response.status === 200) return parseSpiffeBundle(relationship.trustDomain, response.body, options);
    if (!REDIRECTS.has(response.status)) {
      throw fetchError(relationship, `the endpoint answered with status ${response.status}, not 200`);
    }
    url = redirectTarget(url, response.location);
  }
  throw fetchError(relationship, `more than ${MAX_REDIRECTS} redirects`);
}

function proofOf(relationship: FederationRelationship, options: FetchBundleOptions): ServerProof {
  if (relationship.profile === 'https_web') return { kind: 'web', authorities: options.webAuthorities };
  const { endpointBundles, now = Date.now } = options;
  const { endpointId } = relationship;
  if (endpointBundles === undefined) {
    throw new TypeError('https_spiffe needs endpointBundles: the bundle of the trust domain of the endpoint');
  }
  return {
    kind: 'own',
    verify(socket) {
      const { id } = verifyX509Svid(sentChain(socket), endpointBundles, { now: now() });
      if (id === endpointId) return;
      throw new SpiffeError('ERR_SVID_UNEXPECTED_ID', `the bundle endpoint is ${id}, not ${endpointId}`, {
        detail: { id, expected: endpointId },
      });
    },
  };
}

function fetchError({ trustDomain }: FederationRelationship, problem: string): SpiffeError {
  return new SpiffeError('ERR_FEDERATION', `bundle of ${trustDomain}: ${problem}`, {
    detail: { trustDomain },
  });
}
