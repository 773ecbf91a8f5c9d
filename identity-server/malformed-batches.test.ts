// What bad items of batches get: a status each, in order, while the good ones are done. Nothing bad is written.
import { Buffer } from 'node:buffer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry } from '../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { createCsr } from '../sdk/x509-svid/csr.ts';
import type { Message, Value } from '../test/support/protobuf.ts';
import { TRUST_DOMAIN } from './testing.ts';
import {
  failure,
  id,
  newKey,
  NOT_SPIFFE,
  Path,
  selector,
  spki,
  startWireBench,
  type WireBench,
} from './wire-testing.ts';

const ENTRY = `${Path.entry}/`;
const SVID = `${Path.svid}/`;
const TRUST = `${Path.trustDomain}/`;
const uid = selector('unix', 'uid:1');

let bench: WireBench;
beforeAll(async () => {
  bench = await startWireBench();
  await bench.server.register({ parent: bench.agentPath, path: '/web', selector: 'unix:uid:1' });
});
afterAll(() => bench[Symbol.asyncDispose]());

describe('items of batches', () => {
  const entry = (over: Message): Message => ({ 2: id('/x'), 3: id('/node'), 4: uid, ...over });
  const badEntries: readonly (readonly [Message, RegExp])[] = [
    ...NOT_SPIFFE.map((bad) => [entry({ 2: bad }), /invalid spiffe ID/] as const),
    ...NOT_SPIFFE.map((bad) => [entry({ 3: bad }), /invalid parent ID/] as const),
    [entry({ 2: undefined }), /invalid spiffe ID: request must specify SPIFFE ID/],
    [entry({ 3: undefined }), /invalid parent ID: request must specify SPIFFE ID/],
    [entry({ 2: id('/spire/x') }), /reserved namespace/],
    [entry({ 4: [] }), /selector list is empty/],
    [entry({ 4: { 2: 'v' } }), /missing selector type/],
    [entry({ 4: { 1: 'a:b', 2: 'v' } }), /selector type contains ':'/],
    [entry({ 4: { 1: 'unix' } }), /missing selector value/],
    [entry({ 5: -1 }), /X509SVID TTL must not be negative/],
    [entry({ 13: -1 }), /JWTSVID TTL must not be negative/],
    [entry({ 6: 'Not One' }), /invalid federated trust domain/],
    [entry({ 9: -1 }), /expiry must not be negative/],
    [entry({ 9: 2n ** 62n }), /expiry is after the year 9999/],
    [entry({ 10: 'a..b' }), /invalid DNS name/],
    [entry({ 10: ['*.a.example', 'x.a.example'] }), /overlaps/],
    [entry({ 1: 'x'.repeat(256) }), /entry ID is longer than 255/],
    [entry({ 1: 'ä' }), /entry ID contains invalid characters/],
    [entry({ 14: 'x'.repeat(1_025) }), /hint is too long/],
    [entry({ 12: true, 4: [uid, { 1: 'k8s', 2: 'ns:a' }] }), /selector types must be the same/],
    [entry({ 12: true, 16: { 1: true } }), /prefetch must not be disabled/],
  ];
  const statuses = async (path: string, items: Value) => {
    const answer = await bench.local.call(path, { 1: items });
    return answer
      .messages(1)
      .map((result) => [Number(result.message(1).number(1)), result.message(1).text(2)] as const);
  };

  test('BatchCreateEntry and BatchUpdateEntry: each on its own, and none is written', async () => {
    const before = (await bench.local.call(`${ENTRY}CountEntries`, {})).number(1);
    const created = await statuses(
      `${ENTRY}BatchCreateEntry`,
      badEntries.map(([bad]) => bad),
    );
    expect(created).toHaveLength(badEntries.length);
    for (const [index, [code, message]] of created.entries()) {
      expect([code, message]).toEqual([3, expect.stringMatching(badEntries[index]![1])]);
    }
    await bench.local.call(`${ENTRY}BatchCreateEntry`, { 1: { 1: 'good', ...entry({ 2: id('/good') }) } });
    for (const [bad, expected] of badEntries) {
      if (bad[1] !== undefined) continue;
      const [found] = await statuses(`${ENTRY}BatchUpdateEntry`, [{ ...bad, 1: 'good' }]);
      expect(found).toEqual([3, expect.stringMatching(expected)]);
    }
    expect(await statuses(`${ENTRY}BatchUpdateEntry`, [entry({}), entry({ 1: 'nobody' })])).toEqual([
      [3, 'failed to convert entry: missing entry ID'],
      [5, 'entry not found'],
    ]);
    const good = await bench.local.call(`${ENTRY}GetEntry`, { 1: 'good' });
    expect(good.number(11)).toBe(0n);
    expect((await bench.local.call(`${ENTRY}CountEntries`, {})).number(1)).toBe(before + 1n);
  });

  test('BatchNewX509SVID and BatchNewWITSVID', async () => {
    const forged = Buffer.from(createCsr(newKey().privateKey));
    // The last byte lies within the signature's second number.
    forged[forged.length - 1]! ^= 1;
    const { entries } = await bench.server.local.unary(Entry.method.listEntries, {
      filter: { bySpiffeId: { trustDomain: TRUST_DOMAIN, path: '/web' } },
    });
    const web = entries[0]!.id;
    const x509 = await bench.agent.call(`${SVID}BatchNewX509SVID`, {
      1: [
        {},
        { 1: web },
        { 1: 'x', 2: forged },
        { 1: web, 2: Buffer.alloc(70) },
        { 1: web, 2: forged },
        { 1: web, 2: Buffer.alloc(20_000) },
      ],
    });
    const found = x509
      .messages(1)
      .map((result) => `${result.message(1).number(1)} ${result.message(1).text(2)}`);
    expect(found).toEqual([
      '3 missing entry ID',
      '3 missing CSR',
      '5 entry not found or not authorized',
      expect.stringMatching(/^3 malformed CSR/),
      expect.stringMatching(/^3 invalid CSR signature/),
      expect.stringMatching(/^3 the CSR is larger than/),
    ]);
    const wit = await bench.agent.call(`${SVID}BatchNewWITSVID`, {
      1: [{}, { 1: 'x', 2: spki, 3: 'ES256' }, { 1: web, 3: 'ES256' }, { 1: web, 2: spki, 3: 'ES384' }],
    });
    expect(wit.messages(1).map((result) => result.message(1).number(1))).toEqual([3n, 5n, 3n, 3n]);
  });

  test('batches that are too large are refused whole', async () => {
    const answer = ([path, request, , from = 'local']: readonly [
      string,
      Message,
      string,
      ('agent' | 'local')?,
    ]) => failure(bench[from].call(path, request));
    const many = (count: number, item: Value): Value => Array.from({ length: count }, () => item);
    expect(await answer([`${SVID}BatchNewX509SVID`, { 1: many(501, { 1: 'x' }) }, '', 'agent'])).toMatch(
      /^RESOURCE_EXHAUSTED: rate \(501\)/,
    );
    expect(await answer([`${ENTRY}BatchDeleteEntry`, { 1: many(5_001, 'x') }, ''])).toMatch(
      /^RESOURCE_EXHAUSTED/,
    );
    expect(await answer([`${TRUST}BatchDeleteFederationRelationship`, { 1: many(5_001, 'x') }, ''])).toMatch(
      /^RESOURCE_EXHAUSTED/,
    );
  });
});
