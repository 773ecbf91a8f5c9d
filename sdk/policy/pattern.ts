// Segment-wise patterns: `*` is exactly one non-empty segment, `**` as the last segment is any number of segments, none
// included. Never a raw prefix: `/orders` does not cover `/orders-admin`, `/orders/**` covers `/orders` itself.

/** A pattern cut into segments; `**` at the end is `open`. */
export interface Pattern {
  readonly segments: readonly string[];
  readonly open: boolean;
}

/** Reads a pattern that begins with `/` or is empty (the path of a SPIFFE ID). A string says what is wrong. */
export function parsePattern(text: string): Pattern | string {
  if (text === '') return { segments: [], open: false };
  if (!text.startsWith('/')) return 'must begin with /';
  const segments = text.slice(1).split('/');
  const open = segments.at(-1) === '**';
  if (open) segments.pop();
  for (const segment of segments) {
    if (segment === '**') return '** may only be the last segment';
    if (segment.includes('*') && segment !== '*') return '* must stand for a whole segment';
  }
  if (segments.slice(0, -1).includes('') || (open && segments.includes('')))
    return 'must not have empty segments';
  return { segments, open };
}

/** Whether a path (beginning with `/`, or empty) matches. Allocates nothing. */
export function matches(pattern: Pattern, path: string): boolean {
  const { segments, open } = pattern;
  let at = 0;
  for (const segment of segments) {
    if (path.charCodeAt(at) !== 0x2f) return false; // the path has fewer segments
    const start = at + 1;
    let end = path.indexOf('/', start);
    if (end === -1) end = path.length;
    if (segment === '*') {
      if (end === start) return false;
    } else if (end - start !== segment.length || !path.startsWith(segment, start)) return false;
    at = end;
  }
  return open || at === path.length;
}
