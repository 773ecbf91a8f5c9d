// Presents a WIT-SVID: the fields to add to a request, always with a proof and only over a secure channel.
import type { Experimental } from '../bundle/spiffe-bundle.ts';
import type { HeldWitSvid } from './held-wit-svid.ts';
import { FieldMap, type FieldLines, type ProofOfPossession, type WitRequest } from './proof-of-possession.ts';
import { expectWitEnabled, WIT_FIELD } from './experimental.ts';

/** Options of {@link presentWit}. */
export interface PresentWitOptions {
  readonly experimental: Experimental;
  readonly proof: ProofOfPossession;
  /** Milliseconds since 1970. Default: now. */
  readonly now?: number;
}

/**
 * The fields that present a WIT-SVID with a request. The request must be final: method, URL, fields and body are what
 * the proof is about.
 *
 * @throws TypeError without the experimental switch, if the URL is not https (WIT-SVID 5.3), or if the request has a
 * WIT-SVID already.
 */
export async function presentWit(
  request: WitRequest,
  held: HeldWitSvid,
  options: PresentWitOptions,
): Promise<FieldLines> {
  expectWitEnabled(options);
  if (!/^https:\/\//i.test(request.url)) throw new TypeError('a WIT-SVID must only travel over https');
  const line = [WIT_FIELD, held.token] as const;
  const headers = [...request.headers, line];
  const fields = new FieldMap(headers);
  if (fields.all(WIT_FIELD).length > 1) throw new TypeError('the request presents a WIT-SVID already');
  const proof = await options.proof.prove({ ...request, headers }, fields, held, options.now ?? Date.now());
  return [line, ...proof];
}
