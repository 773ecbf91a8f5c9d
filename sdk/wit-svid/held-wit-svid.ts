// A WIT-SVID with its private key, as the Workload API hands it out (Workload API 7.2.1).
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { isSameKey } from '../bundle/elements.ts';
import type { Experimental } from '../bundle/spiffe-bundle.ts';
import { SpiffeError } from '../error.ts';
import { parseJsonObject } from '../json/parse.ts';
import { expectWitEnabled } from './experimental.ts';
import { openWitSvid, readWitSvid, type WitClaims } from './wit-svid.ts';

/** An identity that can be presented, with proof. */
export interface HeldWitSvid extends WitClaims {
  /** The private half of the confirmation key. Never log it. */
  readonly privateKey: KeyObject;
  /** What the operator calls this identity; empty if nothing. */
  readonly hint: string;
}

/**
 * Reads a WIT-SVID that this workload was given, with its key as a private JWK, and checks that the key is that of
 * `cnf` (WAPI-63). **The token's own signature is not verified.**
 *
 * @throws SpiffeError `ERR_SVID_NOT_AN_SVID` or `ERR_PRIVATE_KEY`, whose message never holds key material; TypeError
 * without the experimental switch.
 */
export function parseHeldWitSvid(
  token: string,
  privateJwk: string,
  options: { readonly experimental: Experimental; readonly hint?: string },
): HeldWitSvid {
  expectWitEnabled(options);
  const wit = readWitSvid(openWitSvid(token));
  const privateKey = readPrivateJwk(privateJwk);
  if (!isSameKey(createPublicKey(privateKey), wit.confirmationKey)) {
    throw new SpiffeError('ERR_PRIVATE_KEY', `the private key is not that of the WIT-SVID of ${wit.id}`);
  }
  return { ...wit, privateKey, hint: options.hint ?? '' };
}

// The cause is left out on purpose: it could carry parser output about key material.
function readPrivateJwk(text: string): KeyObject {
  try {
    const jwk = parseJsonObject(text, { maxBytes: 32_768 });
    if (typeof jwk['d'] !== 'string') throw new TypeError('no private part');
    return createPrivateKey({ key: { ...(jwk as Record<string, string>) }, format: 'jwk' });
  } catch {
    throw new SpiffeError('ERR_PRIVATE_KEY', 'the private key of the WIT-SVID is not a private JWK');
  }
}
