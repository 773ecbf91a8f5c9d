// Identity in headers: what a client claims is dropped, what we proved is added.
import type { Fields } from '../http1/fields.ts';
import type { Exchange } from '../listener/exchange.ts';

// Names that this proxy speaks under, or that applications take as proof of identity from a proxy.
const OURS = new Set([
  'x-spiffe-id',
  'x-forwarded-client-cert',
  'x-request-id',
  'x-sigil-parent-request-id',
  'client-cert', // RFC 9440
  'client-cert-chain',
  'ssl-client-cert',
  'x-ssl-client-cert',
  'x-client-cert',
]);

/** Whether a field that a client sent is dropped. `_` counts as `-`: CGI-like servers make one variable of both. */
export function isOurs(name: string): boolean {
  return OURS.has(name.includes('_') ? name.replaceAll('_', '-') : name);
}

/** What the application is told about the caller. */
export function identityFields({ origin }: Exchange): Fields {
  return origin.peer === undefined ? [] : [['x-spiffe-id', origin.peer.id]];
}
