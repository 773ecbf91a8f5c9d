// Certificate requests of agents: a key that its holder proved to have. Names in them decide nothing here, but a name
// that this server could never grant tells of a confused or hostile caller.
import { SpiffeError, messageOf } from '../../sdk/error.ts';
import { isMemberOf, parseSpiffeId, type TrustDomain } from '../../sdk/spiffe-id.ts';
import { readCsr } from '../../sdk/x509-svid/csr.ts';

/**
 * Reads a CSR and returns its SubjectPublicKeyInfo (DER).
 *
 * @throws SpiffeError `ERR_CSR` with a message for the caller.
 */
export function publicKeyInfoOfCsr(csr: Uint8Array, trustDomain: TrustDomain): Uint8Array {
  const { publicKeyInfo, extensions } = readCsr(csr);
  const uris = extensions.subjectAltName?.uris ?? [];
  if (uris.length > 1) throw new SpiffeError('ERR_CSR', `the CSR has ${uris.length} URI names`);
  for (const uri of uris) {
    let member: boolean;
    try {
      member = isMemberOf(parseSpiffeId(uri), trustDomain);
    } catch (cause) {
      throw new SpiffeError('ERR_CSR', `the CSR's URI name is no SPIFFE ID: ${messageOf(cause)}`, { cause });
    }
    if (!member) throw new SpiffeError('ERR_CSR', `the CSR names an ID that is not of ${trustDomain}`);
  }
  return publicKeyInfo;
}
