// Identity in headers: what a client claims is dropped, what we proved is added.
import type { Fields } from '../http1/fields.ts';
import type { Exchange } from '../listener/exchange.ts';

/** What the application is told about the caller. */
export function identityFields({ origin }: Exchange): Fields {
  return origin.peer === undefined ? [] : [['x-spiffe-id', origin.peer.id]];
}
