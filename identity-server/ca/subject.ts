// The subject that an administrator asks for in a CSR: read as a list of names, and written anew. Never bytes of the
// caller as they came.
import { DerReader, Tag } from '../../sdk/x509-svid/der-reader.ts';
import { element, objectIdentifier, sequence } from '../../sdk/x509-svid/der-writer.ts';
import { Oid } from '../../sdk/x509-svid/object-identifiers.ts';

interface Attribute {
  readonly oid: string;
  readonly tag: number;
  readonly value: Uint8Array;
}

const UTF8_STRING = 0x0c;
// UTF8String, PrintableString, T61String, IA5String, BMPString (RFC 5280 4.1.2.4).
const STRINGS: ReadonlySet<number> = new Set([UTF8_STRING, 0x13, 0x14, 0x16, 0x1e]);
const MAX_ATTRIBUTES = 32;

/**
 * The subject for an SVID: what was asked for, with the first DNS name as its common name if there is one, as SPIRE has
 * it. Undefined: nothing was asked for.
 *
 * @param subject Name, DER.
 * @throws SpiffeError `ERR_DER`, or Error, if it is no name.
 */
export function subjectWith(subject: Uint8Array, dnsName: string | undefined): Uint8Array | undefined {
  const attributes = readName(subject);
  if (attributes.length === 0) return undefined;
  const rest = dnsName === undefined ? attributes : attributes.filter(({ oid }) => oid !== Oid.commonName);
  const named = dnsName === undefined ? [] : [commonName(dnsName)];
  return sequence(
    ...[...rest, ...named].map(({ oid, tag, value }) =>
      element(Tag.set, sequence(objectIdentifier(oid), element(tag, value))),
    ),
  );
}

function commonName(text: string): Attribute {
  return { oid: Oid.commonName, tag: UTF8_STRING, value: new TextEncoder().encode(text) };
}

function readName(subject: Uint8Array): Attribute[] {
  const names = DerReader.document(subject, Tag.sequence);
  const attributes: Attribute[] = [];
  while (!names.atEnd) {
    const set = names.enter(Tag.set);
    while (!set.atEnd) {
      const pair = set.enter(Tag.sequence);
      const oid = pair.readObjectIdentifier();
      const value = pair.read();
      pair.expectEnd();
      if (!STRINGS.has(value.tag)) throw new Error('the subject has an attribute that is no text');
      if (attributes.push({ oid, tag: value.tag, value: pair.contentOf(value) }) > MAX_ATTRIBUTES) {
        throw new Error(`the subject has more than ${MAX_ATTRIBUTES} attributes`);
      }
    }
  }
  return attributes;
}
