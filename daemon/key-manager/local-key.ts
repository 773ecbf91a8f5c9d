// A key in this process's memory.
import { createPublicKey, generateKeyPair, sign, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { signatureAlgorithmFor } from '../../sdk/x509-svid/signature.ts';
import type { KeyType, ManagedKey } from './key-manager.ts';

const generate = promisify(generateKeyPair);

/** Makes a private key. */
export async function generatePrivateKey(type: KeyType): Promise<KeyObject> {
  switch (type) {
    case 'ec-p256':
      return (await generate('ec', { namedCurve: 'P-256' })).privateKey;
    case 'ec-p384':
      return (await generate('ec', { namedCurve: 'P-384' })).privateKey;
    case 'rsa-2048':
      return (await generate('rsa', { modulusLength: 2048 })).privateKey;
    case 'rsa-4096':
      return (await generate('rsa', { modulusLength: 4096 })).privateKey;
  }
}

/** A managed key over a private key that is here. */
export function localKey(id: string, privateKey: KeyObject): ManagedKey {
  const publicKey = createPublicKey(privateKey);
  const { hash } = signatureAlgorithmFor(publicKey);
  return { id, publicKey, sign: async (data) => sign(hash, data, privateKey) };
}
