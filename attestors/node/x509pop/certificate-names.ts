// Names of certificates, as x509pop's selectors and templates have them.
import { createHash } from 'node:crypto';
import type { Certificate } from '../../../sdk/x509-svid/certificate.ts';
import { DerReader, Tag } from '../../../sdk/x509-svid/der-reader.ts';
import { Oid } from '../../../sdk/x509-svid/object-identifiers.ts';

// UTF8String, PrintableString, IA5String: all of them are UTF-8.
const TEXTS: ReadonlySet<number> = new Set([0x0c, 0x13, 0x16]);

/** SHA-1 of the certificate, hexadecimal: a name, not a proof. */
export function fingerprintOf({ der }: Certificate): string {
  return createHash('sha1').update(der).digest('hex');
}

/** The common name of the subject; of several, the last. Undefined for none, and for one that is no plain text. */
export function commonNameOf({ subject }: Certificate): string | undefined {
  let found: string | undefined;
  const names = DerReader.document(subject, Tag.sequence);
  while (!names.atEnd) {
    const set = names.enter(Tag.set);
    while (!set.atEnd) {
      const attribute = set.enter(Tag.sequence);
      const oid = attribute.readObjectIdentifier();
      const value = attribute.read();
      if (oid === Oid.commonName && TEXTS.has(value.tag)) found = textOf(attribute.contentOf(value));
    }
  }
  return found;
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    // oxlint-disable-next-line no-control-regex
    return text === '' || /[\u0000-\u001f\u007f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}
