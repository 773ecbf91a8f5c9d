// SVIDs from PEM text and from files, for those who keep them on disk. A workload is better served by X509Source.
import { Buffer } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { SpiffeError } from '../error.ts';
import { concat } from './der-writer.ts';
import { derOfPem } from './pem.ts';
import { parseX509Svid, type X509Svid } from './x509-svid.ts';

/** Where an SVID lies. Both files may hold PEM or DER, and may be one and the same PEM file. */
export interface X509SvidFiles {
  /** Leaf first, then intermediates. */
  readonly certificates: string;
  /** PKCS#8, not encrypted. */
  readonly privateKey: string;
}

/**
 * Reads an SVID from PEM: `CERTIFICATE` blocks, leaf first, and one `PRIVATE KEY` block (PKCS#8), which may stand in the same
 * text. Times are not judged: an SVID that expired can still be read.
 *
 * @throws SpiffeError as `parseX509Svid`; `ERR_PRIVATE_KEY` unless there is exactly one key.
 */
export function parsePemX509Svid(certificates: string, privateKey = certificates): X509Svid {
  const keys = derOfPem('PRIVATE KEY', privateKey);
  if (keys.length !== 1) {
    throw new SpiffeError('ERR_PRIVATE_KEY', `${keys.length} PEM blocks PRIVATE KEY (PKCS#8); one is needed`);
  }
  return parseX509Svid(concat(derOfPem('CERTIFICATE', certificates)), keys[0]!);
}

/**
 * Loads an SVID from files.
 *
 * @throws SpiffeError as {@link parsePemX509Svid}; whatever reading a file throws.
 */
export async function loadX509Svid(files: X509SvidFiles): Promise<X509Svid> {
  const [certificates, privateKey] = await Promise.all([
    readFile(files.certificates),
    readFile(files.privateKey),
  ]);
  const keys = isDer(privateKey) ? [new Uint8Array(privateKey)] : derOfPem('PRIVATE KEY', textOf(privateKey));
  if (keys.length !== 1) {
    throw new SpiffeError(
      'ERR_PRIVATE_KEY',
      `${files.privateKey} holds ${keys.length} PKCS#8 keys; one is needed`,
    );
  }
  const chain = isDer(certificates) ? certificates : concat(derOfPem('CERTIFICATE', textOf(certificates)));
  return parseX509Svid(new Uint8Array(chain), keys[0]!);
}

function isDer(bytes: Uint8Array): boolean {
  return !textOf(bytes).includes('-----BEGIN ');
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}
