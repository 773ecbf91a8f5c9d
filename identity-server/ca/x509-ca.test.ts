import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openDiskKeyManager } from '../../daemon/key-manager/disk.ts';
import type { KeyType } from '../../daemon/key-manager/key-manager.ts';
import { createLog } from '../../daemon/log.ts';
import { parseTrustDomain, spiffeIdOf } from '../../sdk/spiffe-id.ts';
import { hexOf } from '../../sdk/x509-svid/certificate.ts';
import { derOfPem } from '../../sdk/x509-svid/pem.ts';
import { parseX509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import { openSqliteStore } from '../store/sqlite/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { temporaryFolder } from '../testing.ts';
import { ServerSvid } from './server-svid.ts';
import { createX509Ca, type X509Ca } from './x509-ca.ts';

const trustDomain = parseTrustDomain('example.org');
const HOUR = 3_600_000;
const log = createLog({ name: 'test', level: 'silent' });
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const web = {
  id: spiffeIdOf(trustDomain, '/web'),
  publicKeyInfo: key.publicKey.export({ type: 'spki', format: 'der' }),
  ttl: HOUR,
};

let folder: string;
let store: Store;
let time: number;
const now = () => time;
const keysFile = () => join(folder, 'keys.json');
const open = async (keyType: KeyType = 'ec-p256'): Promise<X509Ca> =>
  createX509Ca({
    trustDomain,
    keys: await openDiskKeyManager(keysFile()),
    keyType,
    ttl: 24 * HOUR,
    store,
    log,
    now,
  });
const rootsOf = (ca: X509Ca) => ca.bundle.authorities.map(({ serial }) => serial);
const issuerOf = async (ca: X509Ca) => {
  const { chain } = await ca.sign(web);
  const { authority } = verifyX509Svid(chain, ca, { now: time });
  return authority.serial;
};

beforeEach(async () => {
  folder = temporaryFolder();
  store = await openSqliteStore({ folder, trustDomain });
  time = Date.parse('2026-01-01T00:00:00Z');
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe('X509Ca', () => {
  test('has the same root after a restart', async () => {
    const first = await open();
    const second = await open();
    expect(rootsOf(second)).toEqual(rootsOf(first));
    expect(await issuerOf(second)).toBe(rootsOf(first)[0]);
    expect(second.bundle.sequence).toBe(first.bundle.sequence);
  });

  test('prepares, activates and prunes on schedule, over restarts, and bundles hold both roots meanwhile', async () => {
    let ca = await open();
    const [first] = rootsOf(ca);
    time += 12 * HOUR + 1_000;
    await Promise.all([ca.tick(), ca.tick(), ca.tick()]);
    const [, second] = rootsOf(ca);
    expect(rootsOf(ca)).toEqual([first, second]);
    expect(ca.bundle.sequence).toBe(2);
    expect(await issuerOf(ca)).toBe(first);

    ca = await open();
    expect(rootsOf(ca)).toEqual([first, second]);
    time += 8 * HOUR;
    await ca.tick();
    expect(await issuerOf(ca)).toBe(second);
    ca = await open();
    expect(await issuerOf(ca)).toBe(second);
    // Which certificate signs is no matter of the bundle.
    expect(ca.bundle.sequence).toBe(2);

    time += 28 * HOUR + 2_000;
    await ca.tick();
    expect(rootsOf(ca)).not.toContain(first);
  });

  test('comes back after a stop that was longer than its certificate lived', async () => {
    const [first] = rootsOf(await open());
    time += 10 * 24 * HOUR;
    const ca = await open();
    expect(rootsOf(ca)).toHaveLength(1);
    expect(await issuerOf(ca)).not.toBe(first);
  });

  test('goes on with a new certificate when the keys are lost, and refuses damaged ones', async () => {
    const [first] = rootsOf(await open());
    rmSync(keysFile());
    const ca = await open();
    expect(rootsOf(ca)).toHaveLength(2);
    expect(rootsOf(ca)).toContain(first);
    expect(await issuerOf(ca)).not.toBe(first);
    writeFileSync(keysFile(), '{');
    await expect(open()).rejects.toThrow(/the key file .*keys.json is damaged: restore it/);
  });

  test('never signs beyond its own end, and names the serial in decimal', async () => {
    const ca = await open();
    const { chain, notAfter, serial } = await ca.sign({ ...web, ttl: 100 * HOUR });
    expect(notAfter * 1_000).toBe(ca.bundle.authorities[0]!.notAfter);
    const svid = verifyX509Svid(chain, ca, { now: time });
    expect(svid.notAfter).toBe(notAfter * 1_000);
    expect(svid.notBefore).toBe(time - 10_000);
    expect(BigInt(`0x${svid.serial}`).toString()).toBe(serial);
  });

  test('signs nothing when its certificate has expired and no other could be made', async () => {
    const ca = await open();
    time += 25 * HOUR;
    await expect(ca.sign(web)).rejects.toThrow('has expired');
    await ca.tick();
    await ca.sign(web);
  });

  test.each<KeyType>(['ec-p256', 'ec-p384', 'rsa-2048'])('signs with %s', async (keyType) => {
    const ca = await open(keyType);
    expect(await issuerOf(ca)).toBe(rootsOf(ca)[0]);
    const { records } = await store.authorities();
    expect(records[0]!.id).toBe(hexOf(ca.bundle.authorities[0]!.extensions.subjectKeyIdentifier!));
  });

  test('knows the bundle of its own trust domain only', async () => {
    expect((await open()).x509Bundle(parseTrustDomain('other.org'))).toBeUndefined();
  });
});

test('ServerSvid: a new key and certificate at half life', async () => {
  const ca = await open();
  const svid = new ServerSvid({ trustDomain, ca, keyType: 'ec-p256', ttl: HOUR, now });
  expect(svid.isDue).toBe(true);
  const first = await svid.renew();
  const [leaf] = derOfPem('CERTIFICATE', first.cert);
  const [pkcs8] = derOfPem('PRIVATE KEY', first.key);
  expect(parseX509Svid(leaf!, pkcs8!).id).toBe('spiffe://example.org/spire/server');
  expect(svid.isDue).toBe(false);
  time += HOUR / 2;
  expect(svid.isDue).toBe(true);
  const second = await svid.renew();
  expect(createPublicKey(second.key).equals(createPublicKey(first.key))).toBe(false);
});
