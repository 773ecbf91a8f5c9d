// SPIRE's wire by its numbers: messages are written and read here field by field, and not by our generated code, which
// could be wrong on both sides alike. Entries and SVIDs.
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCsr } from '../sdk/x509-svid/csr.ts';
import { parseCertificate } from '../sdk/x509-svid/certificate.ts';
import type { SpiffeId } from '../sdk/spiffe-id.ts';
import type { Message } from '../test/support/protobuf.ts';
import type { RawClient } from '../test/support/raw-client.ts';
import { TRUST_DOMAIN } from './testing.ts';
import {
  id,
  idText,
  newKey,
  Path,
  selector,
  spki,
  startWireBench,
  statusOf,
  type WireBench,
} from './wire-testing.ts';

const { entry: ENTRY, svid: SVID } = Path;

let bench: WireBench;
let local: RawClient;
let agent: RawClient;
let below: RawClient;
beforeAll(async () => {
  bench = await startWireBench();
  ({ local, agent, below } = bench);
});
afterAll(() => bench[Symbol.asyncDispose]());

describe('Entry', () => {
  const whole: Message = {
    1: 'whole',
    2: id('/whole'),
    3: id('/cluster'),
    4: [selector('unix', 'uid:1'), selector('unix', 'gid:2')],
    5: 120,
    6: ['a.org'],
    7: true,
    8: true,
    9: 4_000_000_000,
    10: ['a.example', 'b.example'],
    13: 60,
    14: 'hint',
    16: { 1: true, 2: true },
  };

  test('every field, there and back', async () => {
    const created = (await local.call(`${ENTRY}/BatchCreateEntry`, { 1: [whole] })).message(1);
    expect(statusOf(created)).toBe('0 OK');
    for (const entry of [created.message(2), await local.call(`${ENTRY}/GetEntry`, { 1: 'whole' })]) {
      expect(entry.numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16]);
      expect([entry.text(1), idText(entry.message(2)), idText(entry.message(3))]).toEqual([
        'whole',
        'spiffe://example.org/whole',
        'spiffe://example.org/cluster',
      ]);
      expect(entry.messages(4).map((found) => `${found.text(1)}:${found.text(2)}`)).toEqual([
        'unix:uid:1',
        'unix:gid:2',
      ]);
      expect([5, 7, 8, 9, 13].map((field) => entry.number(field))).toEqual([
        120n,
        1n,
        1n,
        4_000_000_000n,
        60n,
      ]);
      expect([entry.texts(6), entry.texts(10), entry.text(14)]).toEqual([
        ['a.org'],
        ['a.example', 'b.example'],
        'hint',
      ]);
      expect(Number(entry.number(15))).toBeGreaterThan(1_700_000_000);
      expect([entry.message(16).number(1), entry.message(16).number(2)]).toEqual([1n, 1n]);
    }
    // store_svid = 12 excludes the attributes, so it is set on another entry; revision_number = 11 counts updates.
    const stored = { 1: 'stored', 2: id('/stored'), 3: id('/cluster'), 4: selector('vault', 'x'), 12: true };
    await local.call(`${ENTRY}/BatchCreateEntry`, { 1: stored });
    const update = { 1: { 1: 'stored', 14: 'new' }, 2: { 14: true } };
    const updated = (await local.call(`${ENTRY}/BatchUpdateEntry`, update)).message(1).message(2);
    expect([updated.number(12), updated.number(11), updated.text(14)]).toEqual([1n, 1n, 'new']);
  });

  test('masks: each bit lets its own field through, and only the ID is always there', async () => {
    const get = (mask: Message) => local.call(`${ENTRY}/GetEntry`, { 1: 'whole', 2: mask });
    expect((await get({})).numbers).toEqual([1]);
    for (const field of [2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16]) {
      expect((await get({ [field]: true })).numbers).toEqual([1, field]);
    }
  });

  test('filters: ID, parent, selectors, federation, hint, downstream, each by itself', async () => {
    const ids = async (filter: Message) =>
      (await local.call(`${ENTRY}/ListEntries`, { 1: filter, 2: {} }))
        .messages(1)
        .map((entry) => entry.text(1));
    const count = async (filter: Message) =>
      Number((await local.call(`${ENTRY}/CountEntries`, { 1: filter })).number(1));
    const uid = selector('unix', 'uid:1');
    const gid = selector('unix', 'gid:2');
    for (const [filter, found] of [
      [{ 1: id('/whole') }, ['whole']],
      [{ 2: id('/cluster') }, ['whole', 'stored']],
      [{ 3: { 1: [uid, gid], 2: 0 } }, ['whole']],
      [{ 3: { 1: [uid, gid, selector('a', 'b')], 2: 1 }, 2: id('/cluster') }, ['whole']],
      [{ 3: { 1: uid, 2: 2 }, 2: id('/cluster') }, ['whole']],
      [{ 3: { 1: [selector('vault', 'x')], 2: 3 } }, ['stored']],
      [{ 4: { 1: ['a.org', 'a.org'], 2: 0 } }, ['whole']],
      [{ 5: { 1: 'new' } }, ['stored']],
      [{ 6: { 1: true }, 2: id('/cluster') }, ['whole']],
      // SPIRE's command line always sends false, and means no filter.
      [{ 6: {}, 2: id('/cluster') }, ['whole', 'stored']],
    ] as const) {
      expect([await ids(filter), await count(filter)]).toEqual([found, found.length]);
    }
    const first = await local.call(`${ENTRY}/ListEntries`, { 1: { 2: id('/cluster') }, 3: 1 });
    expect([first.messages(1).length, first.text(2)]).toEqual([1, expect.stringMatching(/^\d+$/)]);
    const rest = await local.call(`${ENTRY}/ListEntries`, {
      1: { 2: id('/cluster') },
      3: 1,
      4: first.text(2),
    });
    expect(rest.messages(1)[0]!.text(1)).toBe('stored');
  });

  test('authorised entries: at once, and the conversation of SPIRE’s agents', async () => {
    const all = await agent.call(`${ENTRY}/GetAuthorizedEntries`, { 1: { 2: true } });
    expect(all.messages(1).map((entry) => entry.text(1))).toEqual(
      expect.arrayContaining(['whole', 'stored']),
    );
    const mask = {
      2: true,
      4: true,
      6: true,
      7: true,
      8: true,
      11: true,
      12: true,
      14: true,
      15: true,
      16: true,
    };
    const [answer] = await agent.stream(`${ENTRY}/SyncAuthorizedEntries`, [{ 1: mask }]);
    // Few entries: entries = 2, no revisions, no more.
    expect(answer!.numbers).toEqual([2]);
    const found = answer!.messages(2).find((entry) => entry.text(1) === 'whole')!;
    expect(found.numbers).toEqual([1, 2, 4, 6, 7, 8, 14, 15, 16]);
  });

  test('deletes by ID, each with its status', async () => {
    const deleted = await local.call(`${ENTRY}/BatchDeleteEntry`, { 1: ['stored', 'nobody', ''] });
    expect(deleted.messages(1).map((result) => [result.text(2), statusOf(result)])).toEqual([
      ['stored', '0 OK'],
      ['nobody', '5 entry not found'],
      ['', '3 missing entry ID'],
    ]);
  });
});

describe('SVID', () => {
  test('X.509: minted, issued in batches, and signing certificates for servers below', async () => {
    const { privateKey } = newKey();
    const minted = await local.call(`${SVID}/MintX509SVID`, {
      1: createCsr(privateKey, `spiffe://${TRUST_DOMAIN}/minted` as SpiffeId),
      2: 90,
    });
    const svid = minted.message(1);
    const leaf = parseCertificate(svid.bytes(1));
    expect([idText(svid.message(2)), Number(svid.number(3))]).toEqual([
      'spiffe://example.org/minted',
      leaf.notAfter / 1_000,
    ]);
    expect(leaf.notAfter - leaf.notBefore).toBe(100_000);
    const csr = createCsr(privateKey);
    const batch = await agent.call(`${SVID}/BatchNewX509SVID`, {
      1: [{ 1: 'whole', 2: csr }, { 1: 'nobody', 2: csr }, { 2: csr }, { 1: 'whole' }],
    });
    expect(batch.messages(1).map(statusOf)).toEqual([
      '0 OK',
      '5 entry not found or not authorized',
      '3 missing entry ID',
      '3 missing CSR',
    ]);
    const issued = batch.messages(1)[0]!.message(2);
    expect([issued.message(2).text(2), issued.text(4)]).toEqual(['/whole', 'hint']);
    expect(parseCertificate(issued.bytes(1)).extensions.subjectAltName?.dnsNames).toEqual([
      'a.example',
      'b.example',
    ]);
    const downstream = await below.call(`${SVID}/NewDownstreamX509CA`, { 1: csr, 2: 300 });
    expect([downstream.all(1).length, downstream.all(2).length]).toEqual([1, 1]);
    expect(parseCertificate(downstream.bytes(1)).extensions.basicConstraints?.ca).toBe(true);
  });

  test('JWT and WIT', async () => {
    const claims = (token: string) =>
      JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>;
    const minted = (await local.call(`${SVID}/MintJWTSVID`, { 1: id('/web'), 2: ['db', ''], 3: 30 })).message(
      1,
    );
    expect(minted.numbers).toEqual([1, 2, 3, 4]);
    expect(Number(minted.number(3) - minted.number(4))).toBe(30);
    expect(claims(minted.text(1))).toMatchObject({ aud: ['db'], sub: 'spiffe://example.org/web' });
    const issued = (await agent.call(`${SVID}/NewJWTSVID`, { 1: 'whole', 2: 'db' })).message(1);
    expect([issued.text(5), claims(issued.text(1))['jti']]).toEqual(['hint', expect.any(String)]);
    const wit = (
      await local.call(`${SVID}/MintWITSVID`, { 1: id('/web'), 2: spki, 3: 30, 4: 'ES256' })
    ).message(1);
    expect(claims(wit.text(1))).toHaveProperty('cnf.jwk');
    const batch = await agent.call(`${SVID}/BatchNewWITSVID`, { 1: [{ 1: 'whole', 2: spki, 3: 'ES256' }] });
    expect(statusOf(batch.message(1))).toBe('0 OK');
    expect(batch.message(1).message(2).text(5)).toBe('hint');
  });
});
