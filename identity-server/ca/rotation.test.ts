// Authorities move by schedule and by hand.
import { rmSync, writeFileSync } from 'node:fs';
import { decodeProtectedHeader } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createMemoryKeyManager } from '../../daemon/key-manager/memory.ts';
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
    bench.time += 12 * HOUR + 1_000;
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
    bench.time += 8 * HOUR;
    await ca.tick();
    expect(await issuerOf(ca)).toBe(second);
    ca = await open();
    expect(await issuerOf(ca)).toBe(second);
    expect(decodeProtectedHeader((await ca.signJwt(token)).token).kid).not.toBe(firstKey);
    // Which authority signs is no matter of the bundle.
    expect((await bundle()).sequence).toBe(sequence + 2n);

    bench.time += 28 * HOUR + 2_000;
    await ca.tick();
    expect(await roots()).not.toContain(first);
    expect((await bundle()).jwtAuthorities.map(({ id }) => id)).not.toContain(firstKey);
  });

  test('the journal holds no more than two authorities of a kind, however long it runs', async () => {
    const ca = await open();
    for (let day = 0; day < 20; day++) {
      bench.time += 23 * HOUR;
      await ca.tick();
      expect((await bench.store.authorities()).records.length).toBeLessThanOrEqual(4);
      expect(await roots()).toContain(await issuerOf(ca));
    }
  });

  test('comes back after a stop that was longer than its authorities lived', async () => {
    await open();
    const [first] = await roots();
    bench.time += 10 * 24 * HOUR;
    const ca = await open();
    expect(await roots()).toHaveLength(1);
    expect(await issuerOf(ca)).not.toBe(first);
  });

  test('goes on with new authorities when the keys are lost, and refuses damaged ones', async () => {
    await open();
    const [first] = await roots();
    rmSync(bench.keysFile);
    const ca = await open();
    expect(await roots()).toHaveLength(2);
    expect(await roots()).toContain(first);
    expect(await issuerOf(ca)).not.toBe(first);
    writeFileSync(bench.keysFile, '{');
    await expect(open()).rejects.toThrow(/the key file .*keys.json is damaged: restore it/);
  });

  test('does not sign with an authority that was taken out of the bundle', async () => {
    await open();
    const [first] = await roots();
    await bench.store.updateBundle(trustDomain, (before) => ({ ...before!, x509Authorities: [] }));
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
      bench.store.updateBundle(trustDomain, (before) => ({
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
      ...bench.options,
      keys: createMemoryKeyManager(),
      keyType: 'ec-p256',
      ttl: HOUR,
    });
    expect(await failure(ca.x509.prepare())).toBe('server is initializing');
    expect(await failure(ca.x509.activate('x'))).toBe('server is initializing');
    expect(await failure(ca.signX509(web))).toBe('X509 CA is not available for signing');
    expect(await failure(ca.signJwt(token))).toBe('JWT key is not available for signing');
    const wit = { id: web.id, key: workloadKey.publicKey, algorithm: 'ES256', ttl: HOUR } as const;
    expect(await failure(ca.signWit(wit))).toBe('WIT key is not available for signing');
  });
});
