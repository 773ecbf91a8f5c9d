// The canonical path of a request target. Policy decides on it and exactly it goes upstream, so whatever two servers
// could read as different resources is refused: nothing is repaired.

/** A path that has one reading only, with upper-case percent-encoding; and the query with its `?`, or the empty string. */
export interface CanonicalTarget {
  readonly path: string;
  readonly query: string;
}

/** Why a target is refused; answered with 400. */
export interface TargetRefusal {
  readonly refusal: string;
}

// RFC 3986 3.3 pchar without percent-encoding and without `;`, and the slash.
const PLAIN_PATH = /^\/[A-Za-z0-9\-._~!$&'()*+,=:@/]*$/;
const PATH = /^\/(?:[A-Za-z0-9\-._~!$&'()*+,=:@/]|%[0-9A-Fa-f]{2})*$/;
const QUERY = /^[\x21-\x7e]*$/;
const AMBIGUOUS_PATH = /\/\/|\/\.{1,2}(?:\/|$)/;

/**
 * Reads a request target in origin form (RFC 9112 3.2.1).
 *
 * Refused: other forms, `//`, dot segments, `\`, `;`, `#`, control and non-ASCII bytes, broken percent-encoding, and the
 * encodings that a server behind us might decode into structure: of `/ \ ; ? # %41`, of dots and other unreserved
 * characters, of control characters, and of what is not UTF-8.
 */
export function canonicalPath(rawTarget: string): CanonicalTarget | TargetRefusal {
  const mark = rawTarget.indexOf('?');
  const path = mark === -1 ? rawTarget : rawTarget.slice(0, mark);
  const query = mark === -1 ? '' : rawTarget.slice(mark);
  // The query is not matched by rules, so it is only kept from breaking the request line or starting a fragment.
  if (!QUERY.test(query) || query.includes('#'))
    return refuse('the query holds a control character, a blank, # or non-ASCII');
  if (PLAIN_PATH.test(path)) return AMBIGUOUS_PATH.test(path) ? refuse(AMBIGUOUS) : { path, query };
  const problem = problemOf(path);
  if (problem !== undefined) return refuse(problem);
  return { path: path.replaceAll(/%[0-9a-f]{2}/gi, (escape) => escape.toUpperCase()), query };
}

/** Whether a target was refused. */
export function isRefusal(target: CanonicalTarget | TargetRefusal): target is TargetRefusal {
  return 'refusal' in target;
}

const AMBIGUOUS = 'the path has an empty or a dot segment';

function problemOf(path: string): string | undefined {
  if (!path.startsWith('/')) return 'the target is not a path (origin form)';
  if (!PATH.test(path)) return describeCharacter(path);
  if (AMBIGUOUS_PATH.test(path)) return AMBIGUOUS;
  for (const [escape] of path.matchAll(/%..(?:[0-9A-Fa-f]{2})?/g)) {
    const problem = problemOfEscape(Number.parseInt(escape.slice(1, 3), 16), escape.length === 5);
    if (problem !== undefined) return `${escape.slice(0, 3)} in the path: ${problem}`;
  }
  try {
    decodeURIComponent(path);
  } catch {
    return 'the path is percent-encoded, but not as UTF-8';
  }
  return undefined;
}

function describeCharacter(path: string): string {
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return 'the path has a broken percent-encoding';
  const character = /[^A-Za-z0-9\-._~!$&'()*+,=:@/%]/.exec(path)![0];
  const shown = /[\x21-\x7e]/.test(character) ? character : `byte ${character.charCodeAt(0)}`;
  return `the path holds ${shown}, which must be percent-encoded or is ambiguous`;
}

function problemOfEscape(code: number, beforeHex: boolean): string | undefined {
  if (code < 0x20 || code === 0x7f) return 'a control character';
  const character = String.fromCharCode(code);
  if (/[A-Za-z0-9\-._~]/.test(character)) return `${character} must not be encoded`;
  if ('/\\;?#'.includes(character)) return `an encoded ${character} means structure to some servers`;
  if (character === '%' && beforeHex) return 'doubly encoded';
  return undefined;
}

function refuse(refusal: string): TargetRefusal {
  return { refusal };
}
