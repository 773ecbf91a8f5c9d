// Bundle documents for the conformance tests: real keys and certificates, and the pieces to break them with.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { KeyUse } from '../../sdk/bundle/elements.ts';
import { publicJwkOf } from '../../sdk/bundle/jwk.ts';
import { base64Of } from '../../sdk/json/base64.ts';
import { publicKeyOf, type Certificate } from '../../sdk/x509-svid/certificate.ts';
import { testAuthority } from '../support/authority.ts';

/** A JWK as a plain object that a test may change. */
export type Jwk = Record<string, unknown>;

/** Authorities that the vectors are made of. */
export const authority = await testAuthority();
export const secondAuthority = await testAuthority();

/** A new EC key on P-256, or another. */
export function ecKeys(namedCurve = 'P-256'): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve });
}

/** A good `x509-svid` element. */
export function x509Element(certificate: Certificate = authority.certificate, over: Jwk = {}): Jwk {
  return {
    use: KeyUse.x509,
    ...publicJwkOf(publicKeyOf(certificate)),
    x5c: [base64Of(certificate.der)],
    ...over,
  };
}

const keys = ecKeys();

/** A good `jwt-svid` element. */
export function jwtElement(kid: string, over: Jwk = {}, key: KeyObject = keys.publicKey): Jwk {
  return { use: KeyUse.jwt, kid, ...publicJwkOf(key), ...over };
}

/** A bundle document as text. */
export function document(elements: readonly unknown[], members: Jwk = {}): string {
  return JSON.stringify({ keys: elements, ...members });
}
