// Which authority an SVID hangs on. Pure.
import { Buffer } from 'node:buffer';
import type { X509Bundle } from '../sdk/bundle/x509-bundle.ts';
import { parseCertificate } from '../sdk/x509-svid/certificate.ts';

/** A bundle as the server tells it: beyond who is trusted, who is about to be trusted no more. */
export interface ServerBundle extends X509Bundle {
  /** Key identifiers, in hexadecimal, of the authorities that are not tainted. */
  readonly untainted: ReadonlySet<string>;
}

/** The key identifier of the authority that issued a chain (DER, leaf first), in hexadecimal; empty if it names none. */
export function authorityKeyOf(chain: readonly Uint8Array[]): string {
  const top = chain.at(-1);
  return hex(top && parseCertificate(top).extensions.authorityKeyIdentifier);
}

/** A key identifier in the form of {@link authorityKeyOf}. */
export function hex(identifier: Uint8Array | undefined): string {
  return Buffer.from(identifier ?? []).toString('hex');
}
