import { generateKeyPairSync, sign } from 'node:crypto';
import { Crypto } from '@peculiar/webcrypto';
import fc from 'fast-check';
import { jwtVerify } from 'jose';
import { describe, expect, it } from 'vitest';
import { jwtBundleSet } from '../bundle/jwt-bundle.ts';
import { SpiffeError } from '../error.ts';
import { base64urlOf, decodeBase64url } from '../json/base64.ts';
import { parseSpiffeId, parseTrustDomain } from '../spiffe-id.ts';
import { algorithmOf, joseSignatureOf, type JwsAlgorithm } from './algorithm.ts';
import { createJwtSvidIssuer } from './issue.ts';
import { parseOwnJwtSvid } from './jwt-svid.ts';
import { localSigner } from './signer.ts';
import { validateJwtSvid } from './validate.ts';

const id = parseSpiffeId('spiffe://example.org/web');
const trustDomain = parseTrustDomain('example.org');
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const bundles = jwtBundleSet([{ trustDomain, jwtAuthorities: new Map([['k1', publicKey]]) }]);
const request = () => ({ id, audience: ['a'], expiresAt: Date.now() + 300_000 });
const CURVES: [JwsAlgorithm, string, string][] = [
  ['ES256', 'P-256', 'sha256'],
  ['ES384', 'P-384', 'sha384'],
  ['ES512', 'P-521', 'sha512'],
];

describe('JWT-SVIDs', () => {
  it.each(CURVES)(
    'a remote signer that answers %s in DER is put into the form of JOSE',
    async (alg, curve, hash) => {
      const pair = generateKeyPairSync('ec', { namedCurve: curve });
      const source = jwtBundleSet([{ trustDomain, jwtAuthorities: new Map([['r', pair.publicKey]]) }]);
      const inDer = async (data: Uint8Array) => sign(hash, data, pair.privateKey);
      const issue = createJwtSvidIssuer({
        keyId: 'r',
        algorithm: alg,
        sign: async (data) => joseSignatureOf(alg, await inDer(data)),
      });
      for (let round = 0; round < 40; round++) {
        expect(validateJwtSvid(await issue(request()), source, { audience: 'a' }).id).toBe(id);
      }
      await expect(
        createJwtSvidIssuer({ keyId: 'r', algorithm: alg, sign: inDer })(request()),
      ).rejects.toThrow(TypeError);
    },
  );

  it('refuses DER that is no signature of the size', () => {
    const der = sign(
      'sha512',
      Uint8Array.of(1),
      generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
    );
    expect(() => joseSignatureOf('ES256', der)).toThrow(SpiffeError);
    expect(() => joseSignatureOf('ES256', Uint8Array.of(0x30, 6, 2, 1, 0x80, 2, 1, 1))).toThrow(SpiffeError);
    expect(() => joseSignatureOf('ES256', Uint8Array.of(0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1))).toThrow(
      SpiffeError,
    );
    expect(() => joseSignatureOf('RS256', der)).toThrow(TypeError);
  });

  it('a second crypto engine agrees', async () => {
    const { subtle } = new Crypto();
    const token = await createJwtSvidIssuer(localSigner('k1', privateKey))(request());
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const spki = publicKey.export({ type: 'spki', format: 'der' });
    const key = await subtle.importKey('spki', spki, algorithm, false, ['verify']);
    const data = new TextEncoder().encode(`${header}.${payload}`);
    expect(await subtle.verify(algorithm, key, new Uint8Array(decodeBase64url(signature)!), data)).toBe(true);
  });

  it('an own token is read without a bundle', async () => {
    const token = await createJwtSvidIssuer(localSigner('k1', privateKey))({ ...request(), tokenId: 'j' });
    expect(parseOwnJwtSvid(token, 'internal')).toMatchObject({
      id,
      audience: ['a'],
      hint: 'internal',
      claims: { jti: 'j' },
    });
    expect(() => parseOwnJwtSvid('x.y.z')).toThrow(SpiffeError);
    expect(() => parseOwnJwtSvid(7 as unknown as string)).toThrow(TypeError);
    expect(() => algorithmOf(generateKeyPairSync('ed25519').privateKey)).toThrow(TypeError);
  });

  it('any token fails with SpiffeError and nothing else', () => {
    const part = fc.oneof(
      fc.string().map(base64urlOf),
      fc.string(),
      fc
        .dictionary(
          fc.constantFrom('alg', 'kid', 'typ', 'crit', 'sub', 'aud', 'exp', 'nbf', '__proto__'),
          fc.oneof(fc.constantFrom('ES256', 'k1', 'JWT', id, 'a', 9e9, -1, 1e308, null), fc.jsonValue()),
        )
        .map((object) => base64urlOf(JSON.stringify(object))),
    );
    const good = base64urlOf('{"alg":"ES256","kid":"k1"}');
    const hostile = fc.oneof(
      fc.array(part, { maxLength: 5 }).map((parts) => parts.join('.')),
      part.map((payload) => `${good}.${payload}.AAAA`),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(hostile, (token) => {
        expect(() => validateJwtSvid(token, bundles, { audience: 'a' })).toThrow(SpiffeError);
      }),
      { numRuns: 3_000 },
    );
  });

  it('a good token with one character changed is never accepted', async () => {
    const token = await createJwtSvidIssuer(localSigner('k1', privateKey))(request());
    const options = { algorithms: ['ES256'], audience: 'a', requiredClaims: ['exp', 'sub'] };
    await jwtVerify(token, publicKey, options);
    const at = fc.integer({ min: 0, max: token.length - 1 });
    await fc.assert(
      fc.asyncProperty(at, fc.constantFrom(...'AZaz09-_.=+/ \n\0é'.split('')), async (index, char) => {
        fc.pre(token[index] !== char);
        const changed = token.slice(0, index) + char + token.slice(index + 1);
        expect(() => validateJwtSvid(changed, bundles, { audience: 'a' })).toThrow(SpiffeError);
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['dots', '.'.repeat(1_000_000)],
    ['a long header', `${'A'.repeat(1_000_000)}.A.A`],
    ['deep nesting', `${base64urlOf('{"alg":"ES256"}')}.${base64urlOf(`{"a":${'['.repeat(20_000)}`)}.AA`],
    [
      'a giant integer',
      `${base64urlOf('{"alg":"ES256"}')}.${base64urlOf(`{"exp":${'9'.repeat(20_000)}}`)}.AA`,
    ],
    [
      'a long subject',
      `${base64urlOf('{"alg":"ES256"}')}.${base64urlOf(JSON.stringify({ sub: `${id}/${'a'.repeat(40_000)}` }))}.AA`,
    ],
  ])('takes bounded time for %s', (_, token) => {
    const started = performance.now();
    expect(() => validateJwtSvid(token, bundles, { audience: 'a' })).toThrow(SpiffeError);
    expect(performance.now() - started).toBeLessThan(250);
  });
});
