import { Buffer } from 'node:buffer';
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDiskKeyManager } from '../../daemon/key-manager/disk.ts';
import type { KeyManager, KeyType } from '../../daemon/key-manager/key-manager.ts';
import { createMemoryKeyManager } from '../../daemon/key-manager/memory.ts';
import { createLog } from '../../daemon/log.ts';
import { x509BundleSet } from '../../sdk/bundle/x509-bundle.ts';
import { parseTrustDomain, spiffeIdOf } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import { spiffeBundleOf } from '../federation/bundle-view.ts';
import { openSqliteStore } from '../store/sqlite/sqlite-store.ts';
import type { Bundle, Store } from '../store/store.ts';
import { temporaryFolder } from '../testing.ts';
import {
  openCertificateAuthority,
  type CertificateAuthority,
  type CertificateAuthorityOptions,
} from './certificate-authority.ts';

const trustDomain = parseTrustDomain('example.org');
const HOUR = 3_600_000;
const log = createLog({ name: 'test', level: 'silent' });
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const web = {
  id: spiffeIdOf(trustDomain, '/web'),
  publicKeyInfo: key.publicKey.export({ type: 'spki', format: 'der' }),
  ttl: HOUR,
};
const token = { id: web.id, audience: ['db'], ttl: 300_000 };

let folder: string;
let store: Store;
let time: number;
const now = () => time;
const keysFile = () => join(folder, 'keys.json');
const open = async (over: Partial<CertificateAuthorityOptions> = {}): Promise<CertificateAuthority> =>
  openCertificateAuthority({
    trustDomain,
    keys: await openDiskKeyManager(keysFile()),
    keyType: 'ec-p256',
    jwt: { keyType: 'ec-p256' },
    ttl: 24 * HOUR,
    store,
    log,
    now,
    ...over,
  });
const bundle = async (): Promise<Bundle> => (await store.authorities()).bundle!;
const roots = async () =>
  (await bundle()).x509Authorities.map(({ certificate }) => parseCertificate(certificate).serial);
const issuerOf = async (ca: CertificateAuthority) => {
  const { chain } = await ca.signX509(web);
  const { x509Authorities: authorities } = spiffeBundleOf(await bundle());
  return verifyX509Svid(chain, x509BundleSet([{ trustDomain, authorities }]), { now: time }).authority.serial;
};
const failure = (work: Promise<unknown>) =>
  work.then(
    () => 'nothing',
    (error: Error) => error.message,
  );

beforeEach(async () => {
  folder = temporaryFolder();
  store = await openSqliteStore({ folder, trustDomain });
  time = Date.parse('2026-01-01T00:00:00Z');
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe('by schedule', () => {
  test('has the same authorities after a restart', async () => {
    const first = await open();
    const before = await bundle();
    const second = await open();
    expect(await bundle()).toEqual(before);
    expect(second.x509.active!.record).toEqual(first.x509.active!.record);
    expect(second.jwt!.active!.record).toEqual(first.jwt!.active!.record);
    expect(await issuerOf(second)).toBe((await roots())[0]);
  });

  test('prepares, activates and prunes over restarts, and the bundle holds both roots meanwhile', async () => {
    let ca = await open();
    const [first] = await roots();
    const firstKey = (await bundle()).jwtAuthorities[0]!.id;
    const { sequence } = await bundle();
    time += 12 * HOUR + 1_000;
    await Promise.all([ca.tick(), ca.tick(), ca.tick()]);
    const [, second] = await roots();
    expect(await roots()).toEqual([first, second]);
    // One root and one key more.
    expect((await bundle()).sequence).toBe(sequence + 2n);
    expect((await bundle()).jwtAuthorities).toHaveLength(2);
    expect(await issuerOf(ca)).toBe(first);
    expect(decodeProtectedHeader((await ca.signJwt(token)).token).kid).toBe(firstKey);

    ca = await open();
    expect(await roots()).toEqual([first, second]);
    time += 8 * HOUR;
    await ca.tick();
    expect(await issuerOf(ca)).toBe(second);
    ca = await open();
    expect(await issuerOf(ca)).toBe(second);
    expect(decodeProtectedHeader((await ca.signJwt(token)).token).kid).not.toBe(firstKey);
    // Which authority signs is no matter of the bundle.
    expect((await bundle()).sequence).toBe(sequence + 2n);

    time += 28 * HOUR + 2_000;
    await ca.tick();
    expect(await roots()).not.toContain(first);
    expect((await bundle()).jwtAuthorities.map(({ id }) => id)).not.toContain(firstKey);
  });

  test('the journal holds no more than two authorities of a kind, however long it runs', async () => {
    const ca = await open();
    for (let day = 0; day < 20; day++) {
      time += 23 * HOUR;
      await ca.tick();
      expect((await store.authorities()).records.length).toBeLessThanOrEqual(4);
      expect(await roots()).toContain(await issuerOf(ca));
    }
  });

  test('comes back after a stop that was longer than its authorities lived', async () => {
    await open();
    const [first] = await roots();
    time += 10 * 24 * HOUR;
    const ca = await open();
    expect(await roots()).toHaveLength(1);
    expect(await issuerOf(ca)).not.toBe(first);
  });

  test('goes on with new authorities when the keys are lost, and refuses damaged ones', async () => {
    await open();
    const [first] = await roots();
    rmSync(keysFile());
    const ca = await open();
    expect(await roots()).toHaveLength(2);
    expect(await roots()).toContain(first);
    expect(await issuerOf(ca)).not.toBe(first);
    writeFileSync(keysFile(), '{');
    await expect(open()).rejects.toThrow(/the key file .*keys.json is damaged: restore it/);
  });

  test('does not sign with an authority that was taken out of the bundle', async () => {
    await open();
    const [first] = await roots();
    await store.updateBundle(trustDomain, (before) => ({ ...before!, x509Authorities: [] }));
    const ca = await open();
    expect(await issuerOf(ca)).not.toBe(first);
  });

  test('two servers share a store: each signs with its own key, both roots are in the bundle', async () => {
    const one = await open({ server: 'one' });
    const two = await open({ server: 'two', keys: createMemoryKeyManager() });
    expect(await roots()).toHaveLength(2);
    expect(await issuerOf(one)).not.toBe(await issuerOf(two));
    await two.x509.prepare();
    expect(await roots()).toHaveLength(3);
    expect((await open({ server: 'one' })).x509.slots.other).toBeUndefined();
  });
});

describe('by hand', () => {
  test('X.509: prepare, activate, taint, revoke, with the preconditions of each', async () => {
    const ca = await open();
    const { x509 } = ca;
    const first = x509.active!.record.id;
    expect(await failure(x509.activate(''))).toBe('no authority ID provided');
    expect(await failure(x509.activate('other'))).toBe('unexpected authority ID');
    expect(await failure(x509.taint(first))).toBe('unable to taint current local authority');
    expect(await failure(x509.revoke(first))).toBe('unable to revoke current local authority');

    const { id: second } = await x509.prepare();
    expect(await failure(x509.taint(second))).toContain('only Old local authorities can be tainted');
    expect(await issuerOf(ca)).toBe((await roots())[0]);
    expect((await x509.activate(second)).id).toBe(second);
    expect(await issuerOf(ca)).toBe((await roots())[1]);
    expect(await failure(x509.activate(first))).toContain('only Prepared authorities can be activated');

    expect(await failure(x509.revoke(first))).toBe('it is not possible to revoke an untainted root CA');
    const { sequence } = await bundle();
    expect((await x509.taint(first)).id).toBe(first);
    expect((await bundle()).x509Authorities.map(({ tainted }) => tainted)).toEqual([true, false]);
    expect((await bundle()).sequence).toBe(sequence + 1n);
    expect(await failure(x509.taint(first))).toBe('root CA is already tainted');
    expect((await x509.revoke(first)).id).toBe(first);
    expect(await roots()).toHaveLength(1);
    expect(x509.slots.other).toBeUndefined();
    expect(await failure(x509.revoke(first))).toBe('unexpected authority ID');
    expect((await open()).x509.active!.record.id).toBe(second);
  });

  test('a prepared authority that is replaced signed nothing, and leaves the bundle', async () => {
    const ca = await open();
    const { id: unused } = await ca.x509.prepare();
    const { id } = await ca.x509.prepare();
    expect(await roots()).toHaveLength(2);
    expect(await failure(ca.x509.activate(unused))).toBe('unexpected authority ID');
    expect((await ca.x509.activate(id)).status).toBe('active');
  });

  test('JWT: the same, and another key of the bundle can be revoked once it is tainted', async () => {
    const jwt = (await open()).jwt!;
    const first = jwt.active!.record.id;
    const { id: second } = await jwt.prepare();
    expect((await bundle()).jwtAuthorities).toHaveLength(2);
    await jwt.activate(second);
    expect(await failure(jwt.revoke(first))).toBe('it is not possible to revoke an untainted key');
    await jwt.taint(first);
    expect(await failure(jwt.taint(first))).toBe('key is already tainted');
    await jwt.revoke(first);
    expect((await bundle()).jwtAuthorities.map(({ id }) => id)).toEqual([second]);
    const keyOfBundle = (await bundle()).jwtAuthorities[0]!;
    const foreign = (tainted: boolean) => ({ ...keyOfBundle, id: 'nested', tainted });
    const put = (tainted: boolean) =>
      store.updateBundle(trustDomain, (before) => ({
        ...before!,
        jwtAuthorities: [keyOfBundle, foreign(tainted)],
      }));
    await put(false);
    expect(await failure(jwt.revoke('nested'))).toBe('it is not possible to revoke an untainted key');
    await put(true);
    expect((await jwt.revoke('nested')).id).toBe('nested');
    expect(await failure(jwt.revoke('nested'))).toBe('unexpected authority ID');
  });

  test('says that it is not ready before the first authority', async () => {
    const { CertificateAuthority } = await import('./certificate-authority.ts');
    const ca = new CertificateAuthority({
      trustDomain,
      keys: createMemoryKeyManager(),
      keyType: 'ec-p256',
      ttl: HOUR,
      store,
      log,
      now,
    });
    expect(await failure(ca.x509.prepare())).toBe('server is initializing');
    expect(await failure(ca.x509.activate('x'))).toBe('server is initializing');
    expect(await failure(ca.signX509(web))).toBe('X509 CA is not available for signing');
    expect(await failure(ca.signJwt(token))).toBe('JWT key is not available for signing');
    const wit = { id: web.id, key: key.publicKey, algorithm: 'ES256', ttl: HOUR } as const;
    expect(await failure(ca.signWit(wit))).toBe('WIT key is not available for signing');
  });
});

describe('what it signs', () => {
  test('never outlives the authority, and has the serial in decimal', async () => {
    const ca = await open();
    const { chain, notAfter, serial } = await ca.signX509({ ...web, ttl: 100 * HOUR });
    const [root] = (await bundle()).x509Authorities;
    expect(notAfter * 1_000).toBe(parseCertificate(root!.certificate).notAfter);
    const svid = parseCertificate(chain[0]!);
    expect([svid.notAfter, svid.notBefore]).toEqual([notAfter * 1_000, time - 10_000]);
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
    time += 25 * HOUR;
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
    expect(notAfter).toBe(time + 2 * HOUR);
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
    const { records } = await store.authorities();
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
    const { payload, protectedHeader } = await jwtVerify(jwt, publicKey, { currentDate: new Date(time) });
    expect(protectedHeader).toEqual({ alg: algorithm, kid: authority!.id, typ: 'JWT' });
    expect(authority!.id).toMatch(/^[A-Za-z0-9]{32}$/);
    expect(payload).toEqual({
      sub: web.id,
      aud: ['db'],
      iat: time / 1_000,
      exp: time / 1_000 + 300,
      iss: 'https://issuer.example',
      jti: 'one',
    });
  });

  test('WIT-SVIDs are bound to a key, by keys of their own', async () => {
    const ca = await open({ wit: { keyType: 'ec-p256' } });
    const wit = await ca.signWit({ id: web.id, key: key.publicKey, algorithm: 'ES256', ttl: HOUR });
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
    expect((await store.authorities()).bundle).toBeUndefined();
  });
});
