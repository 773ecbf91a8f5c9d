// X509-SVIDs: read, validate, load, request, issue.
export { parseCertificate, parseCertificates, publicKeyOf, type Certificate } from './certificate.ts';
export { createCsr, readCsr, type CertificateRequest } from './csr.ts';
export type { Extensions, SubjectAltName } from './extensions.ts';
export { loadX509Svid, parsePemX509Svid, type X509SvidFiles } from './load-x509-svid.ts';
export type { NameConstraints } from './name-constraints.ts';
export { derOfPem, parsePemCertificates, pemOf } from './pem.ts';
export {
  createSvidIssuer,
  issueX509Authority,
  type SignTbs,
  type X509AuthorityRequest,
  type X509Signer,
  type X509SvidRequest,
} from './template.ts';
export {
  MAX_CHAIN_LENGTH,
  verifyX509Svid,
  x509SvidIdOf,
  type VerifiedX509Svid,
  type VerifyOptions,
} from './verify.ts';
export { parseX509Svid, readPrivateKey, type X509Svid } from './x509-svid.ts';
