// Name constraints of signing certificates (RFC 5280 4.2.1.10, X509-SVID 4.2): URI and DNS names are judged, and a
// constraint on any other form refuses a certificate that has a name of that form.
import { SpiffeError } from '../error.ts';
import { type DerReader, type DerElement, Tag } from './der-reader.ts';

/** The forms of GeneralName that are judged, by tag. */
const URI = 0x86;
const DNS = 0x82;
const DIRECTORY_NAME = 0xa4;
const MAX_SUBTREES = 1024;
// More names against more constraints than this are refused unread: the product is what hostile input would buy.
const MAX_COMPARISONS = 65_536;

// What a URI is constrained to: a host, or with a leading period the hosts below a domain; never a whole URI.
const HOST_BASE = /^\.?[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$/;

/** A name form, by its tag, and what is permitted or excluded of it. Only URI and DNS bases are kept as text. */
export interface Subtree {
  readonly form: number;
  readonly base: string;
}

/** What a signing certificate says about the names below it. */
export interface NameConstraints {
  readonly critical: boolean;
  readonly permitted: readonly Subtree[];
  readonly excluded: readonly Subtree[];
  /** False if it is in a form that RFC 5280 forbids: no path may lead through it. */
  readonly wellFormed: boolean;
}

/** The names of a certificate that constraints are judged against. */
export interface ConstrainedNames {
  /** The hosts of its URI names; undefined stands for a URI that has none. */
  readonly uriHosts: readonly (string | undefined)[];
  readonly dnsNames: readonly string[];
  /** The tags of its names of other forms, the subject included. */
  readonly otherForms: ReadonlySet<number>;
}

/** Reads the content of the extension. */
export function readNameConstraints(value: DerReader): Omit<NameConstraints, 'critical'> {
  const inside = value.enter(Tag.sequence);
  value.expectEnd();
  const permitted = readSubtrees(inside, inside.readOptional(0xa0));
  const excluded = readSubtrees(inside, inside.readOptional(0xa1));
  inside.expectEnd();
  return {
    permitted: permitted.trees,
    excluded: excluded.trees,
    wellFormed:
      permitted.wellFormed && excluded.wellFormed && permitted.trees.length + excluded.trees.length > 0,
  };
}

/** Whether a certificate with these names may stand below constraints. */
export function allowsNames(constraints: NameConstraints, names: ConstrainedNames): boolean {
  const { permitted, excluded, wellFormed } = constraints;
  const all = [...permitted, ...excluded];
  if (!wellFormed || all.length * (names.uriHosts.length + names.dnsNames.length) > MAX_COMPARISONS)
    return false;
  if (all.some(({ form }) => form !== URI && form !== DNS && names.otherForms.has(form))) return false;
  const allowed = (form: number, isWithin: (base: string) => boolean) => {
    const within = (tree: Subtree) => tree.form === form && isWithin(tree.base);
    return (
      !excluded.some(within) && (permitted.every((tree) => tree.form !== form) || permitted.some(within))
    );
  };
  const constrainsUris = all.some(({ form }) => form === URI);
  // A host that is missing or an address cannot be judged by a domain name: refused, as RFC 5280 asks.
  const allowsHost = (host: string | undefined) =>
    host !== undefined && !isIpv4(host) && allowed(URI, (base) => isUriHostWithin(host, base));
  return (
    (!constrainsUris || names.uriHosts.every(allowsHost)) &&
    names.dnsNames.every((name) => allowed(DNS, (base) => isDnsNameWithin(name.toLowerCase(), base)))
  );
}

/** The host of a URI (RFC 3986 3.2.2), lower case; undefined where there is no authority, or one that is not plain. */
export function uriHostOf(uri: string): string | undefined {
  return /^[a-z][a-z0-9+.-]*:\/\/([a-z0-9._-]+)(?:[/?#]|$)/i.exec(uri)?.[1]?.toLowerCase();
}

/** The forms, by tag, of a subject that is not empty. */
export const SUBJECT_FORM = DIRECTORY_NAME;

// `minimum` and `maximum` must be left out (RFC 5280 4.2.1.10), and a list that is there must not be empty.
function readSubtrees(
  reader: DerReader,
  element: DerElement | undefined,
): { readonly trees: readonly Subtree[]; readonly wellFormed: boolean } {
  const trees: Subtree[] = [];
  if (element === undefined) return { trees, wellFormed: true };
  const list = reader.inside(element);
  let wellFormed = !list.atEnd;
  while (!list.atEnd) {
    if (trees.length === MAX_SUBTREES)
      throw new SpiffeError('ERR_CERTIFICATE', `more than ${MAX_SUBTREES} name constraints`);
    const subtree = list.enter(Tag.sequence);
    const base = subtree.read();
    const text = base.tag === URI || base.tag === DNS ? asciiOf(subtree.contentOf(base)) : '';
    wellFormed &&= subtree.atEnd && text !== undefined && (base.tag !== URI || HOST_BASE.test(text));
    trees.push({ form: base.tag, base: text ?? '' });
  }
  return { trees, wellFormed };
}

function asciiOf(bytes: Uint8Array): string | undefined {
  if (bytes.length > 255 || bytes.some((byte) => byte > 0x7e || byte < 0x21)) return undefined;
  return String.fromCharCode(...bytes).toLowerCase();
}

// A host is meant exactly; with a leading period, every host below it and not the domain itself.
function isUriHostWithin(host: string, base: string): boolean {
  return base.startsWith('.') ? host.length > base.length && host.endsWith(base) : host === base;
}

// The name itself and everything below it; an empty base is every name.
function isDnsNameWithin(name: string, base: string): boolean {
  return base === '' || name === base || name.endsWith(base.startsWith('.') ? base : `.${base}`);
}

function isIpv4(host: string): boolean {
  return /^\d{1,3}(\.\d{1,3}){3}$/.test(host);
}
