// Whether the peer is the identity server of our trust domain: exactly its ID, by exactly our bundle. Pure.
import type { X509BundleSource } from '../../sdk/bundle/x509-bundle.ts';
import { SpiffeError } from '../../sdk/error.ts';
import { spiffeIdOf, type TrustDomain } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { claimedTrustDomainOf, verifyX509Svid, x509SvidIdOf } from '../../sdk/x509-svid/verify.ts';

const SERVER_PATH = '/spire/server';

/** What a server is judged by. */
export interface ServerExpectation {
  readonly trustDomain: TrustDomain;
  /** Undefined only for the first connection of an insecure bootstrap: then the name alone is checked. */
  readonly bundles: X509BundleSource | undefined;
  readonly now?: number;
}

/**
 * Passes the identity server of a trust domain.
 *
 * @throws SpiffeError that names the trust domain that was seen.
 */
export function verifyServer(chain: readonly Uint8Array[], expected: ServerExpectation): void {
  const wanted = spiffeIdOf(expected.trustDomain, SERVER_PATH);
  const seen = claimedTrustDomainOf(chain);
  if (chain.length === 0) throw new SpiffeError('ERR_SVID_NOT_AN_SVID', 'the server sent no certificate');
  if (seen !== expected.trustDomain) {
    throw new SpiffeError(
      'ERR_SVID_UNEXPECTED_ID',
      seen === undefined
        ? `the server at this address is no identity server: its certificate has no SPIFFE ID`
        : `the server belongs to the trust domain ${seen}, and this agent to ${expected.trustDomain}: check "server" and "trust_domain"`,
      { detail: { seen, expected: expected.trustDomain } },
    );
  }
  const id = verifiedId(chain, expected, seen);
  if (id === wanted) return;
  throw new SpiffeError('ERR_SVID_UNEXPECTED_ID', `the peer is ${id}, not ${wanted}: check "server"`, {
    detail: { seen: id, expected: wanted },
  });
}

function verifiedId(chain: readonly Uint8Array[], expected: ServerExpectation, seen: TrustDomain): string {
  if (expected.bundles === undefined) return x509SvidIdOf(parseCertificate(chain[0]!));
  try {
    return verifyX509Svid(chain, expected.bundles, { now: expected.now }).id;
  } catch (cause) {
    if (!(cause instanceof SpiffeError) || cause.code !== 'ERR_SVID_UNTRUSTED') throw cause;
    throw new SpiffeError(
      'ERR_SVID_UNTRUSTED',
      `the server says that it belongs to the trust domain ${seen}, but no authority in this agent's trust bundle signed its certificate: is the bundle that of this server?`,
      { cause, detail: { seen } },
    );
  }
}
