// What signs certificates: a key in this process, or one far away that only answers sign(tbs).
import type { KeyObject } from 'node:crypto';
import type { Certificate } from './certificate.ts';

/** Signs TBS bytes with an authority's key; a remote signer answers with a promise. */
export type SignTbs = (tbs: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** An authority that can sign certificates. */
export interface X509Signer {
  readonly certificate: Certificate;
  readonly publicKey: KeyObject;
  readonly sign: SignTbs;
}
