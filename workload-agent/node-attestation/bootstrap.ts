// What an agent trusts before it has ever spoken with its server.
import { readFile } from 'node:fs/promises';
import type { X509Bundle } from '../../sdk/bundle/x509-bundle.ts';
import { messageOf } from '../../sdk/error.ts';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { derOfPem } from '../../sdk/x509-svid/pem.ts';

/**
 * Reads the trust bundle that the operator gave: CA certificates in PEM.
 *
 * @throws Error that names the file.
 */
export async function loadBootstrapBundle(file: string, trustDomain: TrustDomain): Promise<X509Bundle> {
  try {
    const authorities = derOfPem('CERTIFICATE', await readFile(file, 'utf8')).map(parseCertificate);
    if (authorities.length === 0) throw new Error('it holds no certificate in PEM form');
    return { trustDomain, authorities };
  } catch (error) {
    throw new Error(`the trust bundle ${file} (trust_bundle_file) cannot be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
