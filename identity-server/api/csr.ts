// Certificate requests: a key that its holder proved to have. In those of agents, names decide nothing, but a name that
// this server could never grant tells of a confused or hostile caller; in those of administrators they are the order.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { messageOf, SpiffeError } from '../../sdk/error.ts';
import { isMemberOf, parseSpiffeId, type SpiffeId, type TrustDomain } from '../../sdk/spiffe-id.ts';
import { readCsr, type CertificateRequest } from '../../sdk/x509-svid/csr.ts';
import { subjectWith } from '../ca/subject.ts';
import { validateDnsNames } from '../entry/validate.ts';
import { expectWorkload, reading } from './convert.ts';

/**
 * Reads an agent's CSR and returns its SubjectPublicKeyInfo (DER).
 *
 * @throws SpiffeError `ERR_CSR` with a message for the caller.
 */
export function publicKeyInfoOfCsr(csr: Uint8Array, trustDomain: TrustDomain): Uint8Array {
  return agentCsr(csr, trustDomain).publicKeyInfo;
}

/**
 * Reads a CSR whose names must be harmless.
 *
 * @throws SpiffeError `ERR_CSR` with a message for the caller.
 */
export function agentCsr(csr: Uint8Array, trustDomain: TrustDomain): CertificateRequest {
  const request = readCsr(csr);
  const uris = request.extensions.subjectAltName?.uris ?? [];
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
  return request;
}

/** What an administrator orders by a CSR. */
export interface MintOrder {
  readonly id: SpiffeId;
  readonly publicKeyInfo: Uint8Array;
  readonly dnsNames: readonly string[];
  readonly subject: Uint8Array | undefined;
}

/**
 * Reads an administrator's CSR: ID, DNS names and subject come from it.
 *
 * @throws RpcError INVALID_ARGUMENT.
 */
export function mintOrderOf(csr: Uint8Array, trustDomain: TrustDomain): MintOrder {
  if (csr.length === 0) throw new RpcError('INVALID_ARGUMENT', 'missing CSR');
  const { publicKeyInfo, subject, extensions } = reading(undefined, () => readCsr(csr));
  const { uris = [], dnsNames = [] } = extensions.subjectAltName ?? {};
  if (uris.length === 0) throw new RpcError('INVALID_ARGUMENT', 'CSR URI SAN is required');
  if (uris.length > 1) throw new RpcError('INVALID_ARGUMENT', 'only one URI SAN is expected');
  const id = reading('CSR URI SAN is invalid', () => {
    const id = parseSpiffeId(uris[0]!);
    if (!isMemberOf(id, trustDomain)) {
      throw new Error(`${JSON.stringify(id)} is not a member of trust domain ${JSON.stringify(trustDomain)}`);
    }
    expectWorkload(id, trustDomain);
    return id;
  });
  reading('CSR DNS name is not valid', () => validateDnsNames(dnsNames));
  return {
    id,
    publicKeyInfo,
    dnsNames,
    subject: reading('CSR subject is not valid', () => subjectWith(subject, dnsNames[0])),
  };
}
