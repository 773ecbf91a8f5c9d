// Reads the extensions of a certificate or a CSR (RFC 5280 4.2) that decide whether it is an SVID.
import { SpiffeError } from '../error.ts';
import { type DerReader, Tag } from './der-reader.ts';
import { readNameConstraints, type NameConstraints } from './name-constraints.ts';
import { KeyUsageBit, Oid } from './object-identifiers.ts';

const MAX_EXTENSIONS = 64;
const MAX_NAMES = 1024;

/** Subject alternative names: the kinds that matter here, and how many there are of others. */
export interface SubjectAltName {
  readonly critical: boolean;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly others: number;
  /** The tags (GeneralName, RFC 5280 4.2.1.6) of those others. */
  readonly otherForms: ReadonlySet<number>;
}

/** What the extensions of a certificate say. An absent extension is undefined. */
export interface Extensions {
  readonly subjectAltName?: SubjectAltName;
  readonly basicConstraints?: {
    readonly critical: boolean;
    readonly ca: boolean;
    readonly pathLength?: number;
  };
  readonly keyUsage?: { readonly critical: boolean; readonly bits: ReadonlySet<number> };
  readonly extKeyUsage?: { readonly critical: boolean; readonly purposes: readonly string[] };
  readonly subjectKeyIdentifier?: Uint8Array;
  readonly authorityKeyIdentifier?: Uint8Array;
  readonly nameConstraints?: NameConstraints;
  /** OIDs of critical extensions that this reader does not know: a validator must refuse them (RFC 5280 4.2). */
  readonly unknownCritical: readonly string[];
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** Reads the content of `Extensions ::= SEQUENCE OF Extension`. A repeated extension is refused (RFC 5280 4.2). */
export function readExtensions(list: DerReader): Extensions {
  const found: Mutable<Extensions> & { unknownCritical: string[] } = { unknownCritical: [] };
  const seen = new Set<string>();
  while (!list.atEnd) {
    const extension = list.enter(Tag.sequence);
    const oid = extension.readObjectIdentifier();
    const critical = extension.peekTag() === Tag.boolean ? extension.readBoolean() : false;
    const value = extension.inside(extension.read(Tag.octetString));
    extension.expectEnd();
    if (seen.has(oid)) throw new SpiffeError('ERR_CERTIFICATE', `the extension ${oid} stands twice`);
    seen.add(oid);
    if (seen.size > MAX_EXTENSIONS)
      throw new SpiffeError('ERR_CERTIFICATE', `more than ${MAX_EXTENSIONS} extensions`);
    readOne(found, oid, critical, value);
  }
  return found;
}

function readOne(
  found: Mutable<Extensions> & { unknownCritical: string[] },
  oid: string,
  critical: boolean,
  value: DerReader,
): void {
  switch (oid) {
    case Oid.subjectAltName:
      found.subjectAltName = { critical, ...readGeneralNames(value) };
      break;
    case Oid.basicConstraints:
      found.basicConstraints = { critical, ...readBasicConstraints(value) };
      break;
    case Oid.keyUsage:
      found.keyUsage = { critical, bits: readKeyUsage(value) };
      break;
    case Oid.extKeyUsage:
      found.extKeyUsage = { critical, purposes: readPurposes(value) };
      break;
    case Oid.subjectKeyIdentifier:
      found.subjectKeyIdentifier = value.contentOf(value.read(Tag.octetString));
      break;
    case Oid.authorityKeyIdentifier:
      found.authorityKeyIdentifier = readAuthorityKeyIdentifier(value);
      break;
    case Oid.nameConstraints:
      found.nameConstraints = { critical, ...readNameConstraints(value) };
      break;
    case Oid.certificatePolicies:
      break; // Informational here: no policy is required or forbidden (RFC 5280 6.1.1, user-initial-policy-set any).
    default:
      if (critical) found.unknownCritical.push(oid);
  }
}

function readGeneralNames(value: DerReader): Omit<SubjectAltName, 'critical'> {
  const names = value.enter(Tag.sequence);
  value.expectEnd();
  const uris: string[] = [];
  const dnsNames: string[] = [];
  let others = 0;
  const otherForms = new Set<number>();
  while (!names.atEnd) {
    const name = names.read();
    if (name.tag === 0x86) uris.push(ia5(names.contentOf(name)));
    else if (name.tag === 0x82) dnsNames.push(ia5(names.contentOf(name)));
    else {
      others++;
      otherForms.add(name.tag);
    }
    if (uris.length + dnsNames.length + others > MAX_NAMES) {
      throw new SpiffeError('ERR_CERTIFICATE', `more than ${MAX_NAMES} subject alternative names`);
    }
  }
  return { uris, dnsNames, others, otherForms };
}

// IA5String: bytes above 0x7f are not in it. A NUL or another control byte stays and fails the ID's own parser.
function ia5(bytes: Uint8Array): string {
  if (bytes.length > 4096)
    throw new SpiffeError('ERR_CERTIFICATE', 'a subject alternative name is longer than 4096 bytes');
  let text = '';
  for (const byte of bytes) {
    if (byte > 0x7f) throw new SpiffeError('ERR_CERTIFICATE', 'a subject alternative name is not ASCII');
    text += String.fromCharCode(byte);
  }
  return text;
}

function readBasicConstraints(value: DerReader): { ca: boolean; pathLength?: number } {
  const inside = value.enter(Tag.sequence);
  value.expectEnd();
  const ca = inside.peekTag() === Tag.boolean ? inside.readBoolean() : false;
  if (inside.atEnd) return { ca };
  const pathLength = inside.readSmallInteger();
  inside.expectEnd();
  return { ca, pathLength };
}

function readKeyUsage(value: DerReader): ReadonlySet<number> {
  const [unused = 0, ...bytes] = value.contentOf(value.read(Tag.bitString));
  value.expectEnd();
  if (unused > 7 || bytes.length > 2 || (bytes.length === 0 && unused !== 0)) {
    throw new SpiffeError('ERR_CERTIFICATE', 'the key usage is not a valid BIT STRING');
  }
  const bits = new Set<number>();
  for (let bit = 0; bit < bytes.length * 8 - unused; bit++) {
    if ((bytes[bit >> 3]! & (0x80 >> (bit & 7))) !== 0) bits.add(bit);
  }
  return bits;
}

function readPurposes(value: DerReader): readonly string[] {
  const inside = value.enter(Tag.sequence);
  value.expectEnd();
  const purposes: string[] = [];
  while (!inside.atEnd) {
    if (purposes.length === MAX_EXTENSIONS)
      throw new SpiffeError('ERR_CERTIFICATE', 'too many extended key usages');
    purposes.push(inside.readObjectIdentifier());
  }
  return purposes;
}

function readAuthorityKeyIdentifier(value: DerReader): Uint8Array | undefined {
  const inside = value.enter(Tag.sequence);
  const keyIdentifier = inside.readOptional(0x80);
  return keyIdentifier === undefined ? undefined : inside.contentOf(keyIdentifier);
}

/** Whether the key usage has a bit; absent key usage has none. */
export function hasKeyUsage(extensions: Extensions, bit: keyof typeof KeyUsageBit): boolean {
  return extensions.keyUsage?.bits.has(KeyUsageBit[bit]) ?? false;
}
