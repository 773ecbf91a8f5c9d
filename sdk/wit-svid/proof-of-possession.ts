// Proof that whoever presents a WIT-SVID holds its key: one interface, of which WPT and HTTP message signatures are the
// two implementations here (WIT-SVID 5).
import { SpiffeError } from '../error.ts';
import type { HeldWitSvid } from './held-wit-svid.ts';
import type { WitClaims } from './wit-svid.ts';

/** An HTTP request, as far as a proof is about it. */
export interface WitRequest {
  readonly method: string;
  /** The target URI, absolute, as the client meant it: `https://orders.example.org/charge?id=1`. */
  readonly url: string;
  /**
   * Every field line as it came, also those of one name; `Headers`, a Map and an array of pairs fit. A source that joins
   * the lines of one name with commas is fine: a joined token is no token, and is refused.
   */
  readonly headers: Iterable<readonly [name: string, value: string]>;
  /** The whole body. Absent or empty: there is none. */
  readonly body?: Uint8Array;
}

/** Makes and checks proofs. */
export interface ProofOfPossession {
  /** For messages. */
  readonly name: string;
  /** Whether a request carries a proof of this kind at all. */
  isPresent(request: FieldMap): boolean;
  /** The fields to add to a request. `now` is in milliseconds since 1970. */
  prove(request: WitRequest, fields: FieldMap, held: HeldWitSvid, now: number): Promise<FieldLines>;
  /**
   * Fails unless the request carries a proof by the confirmation key of `wit`.
   *
   * @throws SpiffeError `ERR_SVID_PROOF`.
   */
  verify(request: WitRequest, fields: FieldMap, wit: WitClaims, now: number): void;
}

/** Field lines to add. */
export type FieldLines = readonly (readonly [name: string, value: string])[];

/** What bounds a proof in time and use. Both kinds of proof take it. */
export interface ProofOptions {
  /** How long a proof that is made here is valid, in milliseconds. Default 60,000. */
  readonly lifetime?: number;
  /** The longest lifetime that is accepted, in milliseconds. Default 300,000. */
  readonly maxLifetime?: number;
  /** How far clocks may differ, in milliseconds. Default 30,000. */
  readonly leeway?: number;
  /** Remembers proofs, so that each is accepted once. Default: a guard in this process. `null`: none. */
  readonly replay?: ReplayGuard | null;
}

/** Remembers which proofs were used. Share one between processes, or a proof works once in each. */
export interface ReplayGuard {
  /** Notes a proof until `until` (milliseconds since 1970), and says whether it is the first time. */
  isFirstUse(proof: string, until: number, now: number): boolean;
}

/** The fields of a request by lower-case name; each value as it came, less the space around it. */
export class FieldMap {
  readonly #fields = new Map<string, string[]>();

  constructor(headers: Iterable<readonly [string, string]>) {
    for (const [name, value] of headers) {
      const key = name.toLowerCase();
      const trimmed = trimSpace(value);
      const values = this.#fields.get(key);
      if (values === undefined) this.#fields.set(key, [trimmed]);
      else values.push(trimmed);
    }
  }

  all(name: string): readonly string[] {
    return this.#fields.get(name) ?? [];
  }

  has(name: string): boolean {
    return this.#fields.has(name);
  }

  /** The one value of a field; undefined if there is none or more than one. */
  only(name: string): string | undefined {
    const values = this.all(name);
    return values.length === 1 ? values[0] : undefined;
  }
}

/** What is wrong with a proof. */
export function proofError(problem: string, cause?: unknown): SpiffeError {
  return new SpiffeError('ERR_SVID_PROOF', `no proof of possession: ${problem}`, { cause });
}

/** Space and tab, by hand: a pattern anchored at the end looks at every run of spaces in a long value. */
function trimSpace(value: string): string {
  let [start, end] = [0, value.length];
  while (start < end && isSpace(value.charCodeAt(start))) start++;
  while (end > start && isSpace(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
