// One signing certificate: issued, proved, and joined with its key again after a restart.
import { Buffer } from 'node:buffer';
import { generateKeyPairSync } from 'node:crypto';
import type { ManagedKey } from '../../daemon/key-manager/key-manager.ts';
import { x509BundleSet } from '../../sdk/bundle/x509-bundle.ts';
import { spiffeIdOf, type TrustDomain } from '../../sdk/spiffe-id.ts';
import { hexOf, parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { createSvidIssuer, issueX509Authority } from '../../sdk/x509-svid/template.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import type { AuthorityRecord } from '../store/store.ts';

/** Issues SVIDs of one authority. */
export type Issue = ReturnType<typeof createSvidIssuer>;

/** The name of a slot's key in the key manager. */
export function keyIdOf(slot: AuthorityRecord['slot']): string {
  return `x509-CA-${slot}`;
}

/** What {@link issueAuthority} needs. Times are milliseconds. */
export interface AuthorityRequest {
  readonly trustDomain: TrustDomain;
  readonly key: ManagedKey;
  readonly slot: AuthorityRecord['slot'];
  readonly ttl: number;
  readonly now: number;
}

/**
 * Issues a self-signed certificate and proves it by a throw-away SVID.
 *
 * @throws SpiffeError if an SVID that it signed does not verify.
 */
export async function issueAuthority(request: AuthorityRequest): Promise<AuthorityRecord> {
  const { trustDomain, key, slot, ttl, now } = request;
  const der = await issueX509Authority({
    trustDomain,
    publicKey: key.publicKey,
    notBefore: now - 10_000,
    notAfter: now + ttl,
    sign: (tbs) => key.sign(tbs),
  });
  const certificate = parseCertificate(der);
  const record: AuthorityRecord = {
    id: hexOf(certificate.extensions.subjectKeyIdentifier!),
    slot,
    status: 'prepared',
    issuedAt: now,
    notAfter: certificate.notAfter,
    certificate: der,
  };
  await prove(trustDomain, record, signerOf(record, key)!, now);
  return record;
}

/** A function that signs with a certificate's key, or undefined if the key is not (any more) the certificate's. */
export function signerOf(record: AuthorityRecord, key: ManagedKey | undefined): Issue | undefined {
  const certificate = parseCertificate(record.certificate);
  const publicKeyInfo = key?.publicKey.export({ type: 'spki', format: 'der' });
  if (key === undefined || !Buffer.from(certificate.publicKeyInfo).equals(publicKeyInfo!)) return undefined;
  return createSvidIssuer({ certificate, publicKey: key.publicKey, sign: (tbs) => key.sign(tbs) });
}

// A signing certificate that no validator accepts would be found out by every workload at once: find out first.
async function prove(
  trustDomain: TrustDomain,
  record: AuthorityRecord,
  issue: Issue,
  now: number,
): Promise<void> {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const leaf = await issue({
    id: spiffeIdOf(trustDomain, '/for/health/check/only'),
    publicKeyInfo: publicKey.export({ type: 'spki', format: 'der' }),
    notBefore: now - 10_000,
    notAfter: now + 60_000,
  });
  const authorities = [parseCertificate(record.certificate)];
  verifyX509Svid([leaf], x509BundleSet([{ trustDomain, authorities }]), { now });
}
