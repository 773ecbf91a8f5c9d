// The Content-Digest field (RFC 9530 2): binds a signature over fields to the body.
import { createHash, timingSafeEqual } from 'node:crypto';
import { base64Of } from '../../json/base64.ts';
import { proofError } from '../proof-of-possession.ts';
import { parseDictionary } from './structured-fields.ts';

/** The field. */
export const CONTENT_DIGEST = 'content-digest';

// The two that RFC 9530 5 calls active; the insecure ones count as unknown.
const HASHES: ReadonlyMap<string, string> = new Map([
  ['sha-256', 'sha256'],
  ['sha-512', 'sha512'],
]);

/** The field value for a body. */
export function contentDigestOf(body: Uint8Array): string {
  return `sha-256=:${base64Of(createHash('sha256').update(body).digest())}:`;
}

/**
 * Fails unless the field holds a digest that is known, and every known one is that of the body.
 *
 * @throws SpiffeError `ERR_SVID_PROOF`.
 */
export function expectContentDigest(field: string, body: Uint8Array): void {
  let known = 0;
  for (const [name, member] of parseDictionary(field)) {
    const hash = HASHES.get(name);
    if (hash === undefined) continue;
    known++;
    const digest = createHash(hash).update(body).digest();
    const said = 'value' in member ? member.value : undefined;
    if (!(said instanceof Uint8Array) || said.length !== digest.length || !timingSafeEqual(said, digest)) {
      throw proofError('the body is not the one that was signed (content-digest)');
    }
  }
  if (known === 0) throw proofError('content-digest has neither sha-256 nor sha-512');
}
