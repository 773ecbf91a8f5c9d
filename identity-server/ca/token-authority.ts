// JWT and WIT authorities: a key with an ID and an expiry each, proved by a signature before anybody depends on it.
import type { Buffer } from 'node:buffer';
import { randomInt } from 'node:crypto';
import type { ManagedKey } from '../../daemon/key-manager/key-manager.ts';
import { algorithmOf, isSignedWith, joseSignatureOf } from '../../sdk/jwt-svid/algorithm.ts';
import type { JwsSigner } from '../../sdk/jwt-svid/signer.ts';
import type { AuthorityRecord } from '../store/store.ts';
import type { KindRules } from './authority-slots.ts';

const KEY_ID_LENGTH = 32;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** The rules of JWT authorities. */
export const JWT_RULES: KindRules<JwsSigner> = {
  ...tokenRules('jwt'),
  published: (record) => ({ jwtAuthorities: [bundleKey(record)] }),
};

/** The rules of WIT authorities. */
export const WIT_RULES: KindRules<JwsSigner> = {
  ...tokenRules('wit'),
  published: (record) => ({ witAuthorities: [bundleKey(record)] }),
};

function tokenRules(kind: 'jwt' | 'wit'): Omit<KindRules<JwsSigner>, 'published'> {
  const label = kind.toUpperCase();
  return {
    kind,
    name: `${label} authority`,
    keyPrefix: `${label}-Signer-`,
    async make({ key, notAfter }) {
      const id = Array.from({ length: KEY_ID_LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
      const signer = jwsSigner(id, key);
      const data = new TextEncoder().encode('for/health/check/only');
      if (!isSignedWith(signer.algorithm, data, key.publicKey, await signer.sign(data))) {
        throw new Error(`a signature of the new ${label} key ${id} does not verify`);
      }
      return { id, notAfter, material: spkiOf(key) };
    },
    signer: ({ id, material }, key) =>
      key !== undefined && spkiOf(key).equals(material) ? jwsSigner(id, key) : undefined,
  };
}

// Key managers answer in the form that X.509 uses; tokens have ECDSA signatures in that of RFC 7518 3.4.
function jwsSigner(keyId: string, key: ManagedKey): JwsSigner {
  const algorithm = algorithmOf(key.publicKey);
  const isEcdsa = algorithm.startsWith('ES');
  return {
    keyId,
    algorithm,
    async sign(data) {
      const signature = await key.sign(data);
      return isEcdsa ? joseSignatureOf(algorithm, signature) : signature;
    },
  };
}

function bundleKey({ id, material, notAfter }: AuthorityRecord) {
  return { id, publicKey: material, expiresAt: Math.floor(notAfter / 1_000), tainted: false };
}

function spkiOf(key: ManagedKey): Buffer {
  return key.publicKey.export({ type: 'spki', format: 'der' });
}
