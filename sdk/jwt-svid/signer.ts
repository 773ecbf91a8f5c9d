// What signs tokens: a key in this process, or one far away that only answers sign(data).
import type { KeyObject } from 'node:crypto';
import { base64urlOf } from '../json/base64.ts';
import { stringifyJson, type Writable } from '../json/stringify.ts';
import { algorithmFits, algorithmOf, hasSignatureForm, signWith, type JwsAlgorithm } from './algorithm.ts';

/** A signing key. */
export interface JwsSigner {
  /** The `kid` under which the public key stands in the bundle. */
  readonly keyId: string;
  readonly algorithm: JwsAlgorithm;
  /**
   * Signs, in the form of JOSE: ECDSA as r and s side by side (RFC 7518 3.4). Services that answer in DER need
   * `joseSignatureOf`.
   */
  readonly sign: (data: Uint8Array) => Uint8Array | Promise<Uint8Array>;
}

/**
 * A signer over a private key in this process.
 *
 * @throws TypeError if the key is not private, or the algorithm (default: by type and curve of the key) cannot use it.
 */
export function localSigner(keyId: string, privateKey: KeyObject, algorithm?: JwsAlgorithm): JwsSigner {
  const chosen = algorithm ?? algorithmOf(privateKey);
  if (privateKey.type !== 'private' || !algorithmFits(chosen, privateKey)) {
    throw new TypeError(`${chosen} cannot sign with this key`);
  }
  return { keyId, algorithm: chosen, sign: (data) => signWith(chosen, data, privateKey) };
}

/**
 * A function that signs claims as a compact JWS. The header has `alg`, `typ` and, if the signer has a key ID, `kid`, and
 * nothing else (JWT-SVID 2).
 *
 * The function throws TypeError if the signature is not in the form of JOSE.
 */
export function compactSigner(
  signer: Omit<JwsSigner, 'keyId'> & { readonly keyId?: string },
  typ: string,
): (claims: { readonly [name: string]: Writable | undefined }) => Promise<string> {
  const { algorithm, keyId } = signer;
  const header = base64urlOf(stringifyJson({ alg: algorithm, kid: keyId, typ }));
  return async (claims) => {
    const input = `${header}.${base64urlOf(stringifyJson(claims))}`;
    const signature = await signer.sign(new TextEncoder().encode(input));
    if (!hasSignatureForm(algorithm, signature)) {
      throw new TypeError(
        `the signer's answer is no ${algorithm} signature in the form of JOSE (RFC 7518 3)`,
      );
    }
    return `${input}.${base64urlOf(signature)}`;
  };
}
