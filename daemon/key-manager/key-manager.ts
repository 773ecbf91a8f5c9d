// Keys by name. A key manager signs and never exports, so that a KMS or an HSM fits behind the same interface.
import type { KeyObject } from 'node:crypto';

/** Kinds of key that a manager can make. */
export type KeyType = 'ec-p256' | 'ec-p384' | 'rsa-2048' | 'rsa-4096';

/** A key that a manager holds. */
export interface ManagedKey {
  readonly id: string;
  readonly publicKey: KeyObject;
  /** Signs data (not a digest) with the hash that fits the key: SHA-256, and SHA-384 for P-384. */
  sign(data: Uint8Array): Promise<Uint8Array>;
}

/** Holds private keys. Making a key under a name that exists replaces it. */
export interface KeyManager {
  generateKey(id: string, type: KeyType): Promise<ManagedKey>;
  key(id: string): ManagedKey | undefined;
}
