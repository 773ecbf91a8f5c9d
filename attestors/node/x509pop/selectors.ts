// What x509pop vouches for: names and serial number of the certificate, and the authorities above it.
import type { TrustDomain } from '../../../sdk/spiffe-id.ts';
import type { Certificate } from '../../../sdk/x509-svid/certificate.ts';
import { commonNameOf, fingerprintOf } from './certificate-names.ts';

const MAX_VALUE_LENGTH = 1_024;

/**
 * The selectors of a certificate.
 *
 * @param path the certificates above it, up to the authority.
 */
export function selectorsOf(
  leaf: Certificate,
  path: readonly Certificate[],
  trustDomain: TrustDomain,
): string[] {
  const commonName = commonNameOf(leaf);
  return [
    ...(commonName === undefined ? [] : [`subject:cn:${commonName}`]),
    ...path.map((certificate) => `ca:fingerprint:${fingerprintOf(certificate)}`),
    `serialnumber:${leaf.serial}`,
    ...sanSelectors(leaf, trustDomain),
  ].filter((value) => value.length <= MAX_VALUE_LENGTH);
}

// x509pop://<trust domain>/<key>/<value>
function sanSelectors({ extensions }: Certificate, trustDomain: TrustDomain): string[] {
  const start = `x509pop://${trustDomain}/`;
  return (extensions.subjectAltName?.uris ?? []).flatMap((uri) => {
    const [key = '', ...value] = uri.startsWith(start) ? uri.slice(start.length).split('/') : [];
    return key === '' || value.join('/') === '' ? [] : [`san:${key}:${value.join('/')}`];
  });
}
