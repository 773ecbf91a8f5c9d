// Reads the SPIFFE bundle format (Trust Domain and Bundle 4, appendix A): a JWK Set with SPIFFE's own members.
import { messageOf, SpiffeError } from '../error.ts';
import { parseJsonObject, type JsonObject } from '../json/parse.ts';
import { parseTrustDomain, type TrustDomain } from '../spiffe-id.ts';
import { hexOf, type Certificate } from '../x509-svid/certificate.ts';
import {
  forEachElement,
  KeyCollector,
  KeyUse,
  readTokenKeyElement,
  readX509Element,
  type SkippedElement,
} from './elements.ts';
import type { Experimental, SpiffeBundle } from './spiffe-bundle.ts';

export type { SkippedElement } from './elements.ts';

/** The largest bundle document, in bytes. */
export const MAX_BUNDLE_BYTES = 4 << 20;

/** Options of {@link parseSpiffeBundle}. */
export interface ParseBundleOptions {
  /** Called for each element that is ignored, with the reason. */
  readonly onSkipped?: (skipped: SkippedElement) => void;
  /** With `wit`, elements of use `wit-svid` are read; without, they are of an unknown use and skipped. */
  readonly experimental?: Experimental;
}

/**
 * Reads a bundle document. Elements with an unknown `kty`, a missing or unknown `use`, or anything wrong inside are
 * ignored one by one (4.2); a bundle with nothing left in it revokes everything (4.2.1).
 *
 * @param trustDomain whose bundle it is: the document does not say.
 * @throws SpiffeError `ERR_BUNDLE` if it is no JWK Set, has a member twice, or has a `spiffe_sequence` or
 * `spiffe_refresh_hint` that is no integer; `ERR_TRUST_DOMAIN`.
 */
export function parseSpiffeBundle(
  trustDomain: string,
  document: string | Uint8Array,
  options: ParseBundleOptions = {},
): SpiffeBundle {
  const name = parseTrustDomain(trustDomain);
  try {
    return readBundle(
      name,
      parseJsonObject(document, { integers: 'exact', maxBytes: MAX_BUNDLE_BYTES }),
      options,
    );
  } catch (cause) {
    throw new SpiffeError('ERR_BUNDLE', `bundle of ${name}: ${messageOf(cause)}`, { cause });
  }
}

/** Reads a bundle from JSON that was parsed with exact integers. Errors do not name the trust domain. */
export function readBundle(
  trustDomain: TrustDomain,
  document: JsonObject,
  options: ParseBundleOptions,
): SpiffeBundle {
  const certificates = new Map<string, Certificate>();
  const [jwt, wit] = [new KeyCollector(), new KeyCollector()];
  forEachElement(
    document['keys'],
    (element) => {
      const { use } = element;
      if (use === KeyUse.x509) {
        const certificate = readX509Element(element);
        certificates.set(hexOf(certificate.der), certificate);
      } else if (use === KeyUse.jwt || (use === KeyUse.wit && options.experimental?.wit === true)) {
        const { keyId, key } = readTokenKeyElement(element);
        (use === KeyUse.jwt ? jwt : wit).add(keyId, key);
      } else throw new SpiffeError('ERR_BUNDLE', 'the use is missing or not known');
    },
    options.onSkipped,
  );
  return {
    trustDomain,
    x509Authorities: [...certificates.values()],
    jwtAuthorities: jwt.keys,
    witAuthorities: wit.keys,
    sequence: readSequence(document),
    refreshHint: readRefreshHint(document),
  };
}

function readSequence(document: JsonObject): bigint | undefined {
  const { spiffe_sequence: value } = document;
  if (value === undefined) return undefined;
  if (typeof value !== 'bigint' || value < 0n) {
    throw new SpiffeError('ERR_BUNDLE', 'spiffe_sequence is not an integer of 0 or more');
  }
  return value;
}

// The text speaks of refresh_hint in places where the member is spiffe_refresh_hint (4.1.2).
function readRefreshHint(document: JsonObject): number | undefined {
  const { spiffe_refresh_hint: value } = document;
  if (value === undefined) return undefined;
  if (typeof value !== 'bigint') throw new SpiffeError('ERR_BUNDLE', 'spiffe_refresh_hint is not an integer');
  const seconds = Number(value);
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, seconds));
}
