import { Buffer } from 'node:buffer';
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KeyManager, KeyType } from '../../daemon/key-manager/key-manager.ts';
import { createMemoryKeyManager } from '../../daemon/key-manager/memory.ts';
import { parseTrustDomain, spiffeIdOf } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import {
  failure,
  HOUR,
  startCaBench,
  token,
  trustDomain,
  web,
  workloadKey,
  type CaBench,
} from './ca-bench.ts';

let bench: CaBench;
beforeEach(async () => {
  bench = await startCaBench();
});
afterEach(() => bench[Symbol.asyncDispose]());
const open: CaBench['open'] = (over) => bench.open(over);
const bundle: CaBench['bundle'] = () => bench.bundle();
const roots: CaBench['roots'] = () => bench.roots();
const issuerOf: CaBench['issuerOf'] = (ca) => bench.issuerOf(ca);

describe('what it signs', () => {
  test('never outlives the authority, and has the serial in decimal', async () => {
    const ca = await open();
    const { chain, notAfter, serial } = await ca.signX509({ ...web, ttl: 100 * HOUR });
    const [root] = (await bundle()).x509Authorities;
    expect(notAfter * 1_000).toBe(parseCertificate(root!.certificate).notAfter);
    const svid = parseCertificate(chain[0]!);
    expect([svid.notAfter, svid.notBefore]).toEqual([notAfter * 1_000, bench.time - 10_000]);
    expect(BigInt(`0x${svid.serial}`).toString()).toBe(serial);
    const jwt = await ca.signJwt({ ...token, ttl: 100 * HOUR });
    expect(jwt.expiresAt).toBe((await bundle()).jwtAuthorities[0]!.expiresAt);
    expect(decodeJwt(jwt.token).exp).toBe(jwt.expiresAt);
  });

  test('is of its own trust domain', async () => {
    const ca = await open();
    const id = spiffeIdOf(parseTrustDomain('other.org'), '/web');
    expect(await failure(ca.signX509({ ...web, id }))).toContain('is not of example.org');
    expect(await failure(ca.signJwt({ ...token, id }))).toContain('is not of example.org');
    expect(await failure(ca.signX509({ ...web, id: spiffeIdOf(trustDomain, '') }))).toContain('has no path');
  });

  test('is nothing when an authority has expired and no other could be made', async () => {
    const ca = await open();
    bench.time += 25 * HOUR;
    expect(await failure(ca.signX509(web))).toContain('has expired');
    expect(await failure(ca.signJwt(token))).toContain('has expired');
    await ca.tick();
    await ca.signX509(web);
  });

  test('signing certificates for servers below: leaves of those verify with the same root', async () => {
    const ca = await open();
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { chain, notAfter } = await ca.signDownstreamCa({ publicKey, ttl: 2 * HOUR });
    const certificate = parseCertificate(chain[0]!);
    expect(notAfter).toBe(bench.time + 2 * HOUR);
    expect(certificate.extensions.subjectAltName?.uris).toEqual(['spiffe://example.org']);
    expect(certificate.extensions.basicConstraints?.ca).toBe(true);
  });

  test.each<[KeyType, string]>([
    ['ec-p256', 'ES256'],
    ['ec-p384', 'ES384'],
    ['rsa-2048', 'RS256'],
    ['rsa-4096', 'RS256'],
  ])('with %s keys verifies elsewhere, too', async (keyType, algorithm) => {
    const ca = await open({ keyType, jwt: { keyType, issuer: 'https://issuer.example' } });
    expect(await issuerOf(ca)).toBe((await roots())[0]);
    const { records } = await bench.store.authorities();
    const { publicKeyInfo } = parseCertificate(records.find(({ kind }) => kind === 'x509')!.material);
    expect(records.find(({ kind }) => kind === 'x509')!.id).toMatch(/^[0-9a-f]{40}$/);
    expect(createHash('sha1').update(publicKeyInfo).digest('hex')).toHaveLength(40);
    const { token: jwt } = await ca.signJwt({ ...token, tokenId: 'one' });
    const [authority] = (await bundle()).jwtAuthorities;
    const publicKey = createPublicKey({
      key: Buffer.from(authority!.publicKey),
      format: 'der',
      type: 'spki',
    });
    const { payload, protectedHeader } = await jwtVerify(jwt, publicKey, {
      currentDate: new Date(bench.time),
    });
    expect(protectedHeader).toEqual({ alg: algorithm, kid: authority!.id, typ: 'JWT' });
    expect(authority!.id).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(payload).toEqual({
      sub: web.id,
      aud: ['db'],
      iat: bench.time / 1_000,
      exp: bench.time / 1_000 + 300,
      iss: 'https://issuer.example',
      jti: 'one',
    });
  });

  test('WIT-SVIDs are bound to a key, by keys of their own', async () => {
    const ca = await open({ wit: { keyType: 'ec-p256' } });
    const wit = await ca.signWit({ id: web.id, key: workloadKey.publicKey, algorithm: 'ES256', ttl: HOUR });
    expect(decodeProtectedHeader(wit.token)).toMatchObject({
      typ: 'wit+jwt',
      kid: (await bundle()).witAuthorities[0]!.id,
    });
    expect(decodeJwt(wit.token)).toMatchObject({ sub: web.id, cnf: { jwk: { kty: 'EC', alg: 'ES256' } } });
    expect((await bundle()).jwtAuthorities[0]!.id).not.toBe((await bundle()).witAuthorities[0]!.id);
  });

  test('a key manager whose signatures do not verify never gets into the bundle', async () => {
    const good = createMemoryKeyManager();
    const other = await good.generateKey('other', 'ec-p256');
    const broken: KeyManager = {
      ...good,
      async generateKey(id, type) {
        return { ...(await good.generateKey(id, type)), sign: (data) => other.sign(data) };
      },
    };
    await expect(open({ keys: broken })).rejects.toThrow(/not trusted/);
    expect((await bench.store.authorities()).bundle).toBeUndefined();
  });
});
