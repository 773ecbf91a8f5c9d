// PEM (RFC 7468): the armour in which operators keep certificates and keys.
import { Buffer } from 'node:buffer';
import { SpiffeError } from '../error.ts';
import { parseCertificate, type Certificate } from './certificate.ts';

/** One PEM block per DER document. */
export function pemOf(label: 'CERTIFICATE' | 'PRIVATE KEY', documents: readonly Uint8Array[]): string {
  return documents
    .map((der) => {
      const lines = Buffer.from(der)
        .toString('base64')
        .match(/.{1,64}/g);
      return `-----BEGIN ${label}-----\n${(lines ?? []).join('\n')}\n-----END ${label}-----\n`;
    })
    .join('');
}

/**
 * The DER documents of all blocks with the given label; other blocks and text between them are skipped.
 *
 * @throws SpiffeError `ERR_CERTIFICATE` if a block is not closed or not base64.
 */
export function derOfPem(label: 'CERTIFICATE' | 'PRIVATE KEY', text: string): Uint8Array[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const documents: Uint8Array[] = [];
  for (let at = text.indexOf(begin); at !== -1; at = text.indexOf(begin, at)) {
    const close = text.indexOf(end, at);
    if (close === -1) throw new SpiffeError('ERR_CERTIFICATE', `a PEM block ${label} has no end`);
    const body = text.slice(at + begin.length, close).replace(/\s+/g, '');
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(body)) {
      throw new SpiffeError('ERR_CERTIFICATE', `a PEM block ${label} is not base64`);
    }
    documents.push(new Uint8Array(Buffer.from(body, 'base64')));
    at = close + end.length;
  }
  return documents;
}

/**
 * Reads the certificates of a PEM text, as bundles are kept on disk. Of an empty text there are none; text without a
 * block `CERTIFICATE` is refused, since it is something else.
 *
 * @throws SpiffeError `ERR_CERTIFICATE` or `ERR_DER`.
 */
export function parsePemCertificates(text: string): Certificate[] {
  const documents = derOfPem('CERTIFICATE', text);
  if (documents.length === 0 && text.trim() !== '') {
    throw new SpiffeError('ERR_CERTIFICATE', 'the text has no PEM block CERTIFICATE');
  }
  return documents.map(parseCertificate);
}
