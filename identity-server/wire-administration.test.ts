// SPIRE's wire by its numbers: agents, bundles, relationships, authorities, and the services of the local socket.
import type { ServiceError } from '@grpc/grpc-js';
import type { Buffer } from 'node:buffer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCsr } from '../sdk/x509-svid/csr.ts';
import { testAuthority } from '../test/support/authority.ts';
import { decode, type Message } from '../test/support/protobuf.ts';
import type { RawClient } from '../test/support/raw-client.ts';
import {
  failure,
  id,
  idText,
  newKey,
  Path,
  spki,
  startWireBench,
  statusOf,
  type WireBench,
} from './wire-testing.ts';

const { agent: AGENT, bundle: BUNDLE, entry: ENTRY, trustDomain: TRUST } = Path;
const { localAuthority: AUTHORITY, logger: LOGGER, debug: DEBUG, health: HEALTH } = Path;

let bench: WireBench;
let local: RawClient;
let agent: RawClient;
let below: RawClient;
beforeAll(async () => {
  bench = await startWireBench();
  ({ local, agent, below } = bench);
});
afterAll(() => bench[Symbol.asyncDispose]());

describe('Agent', () => {
  test('is listed, shown by mask, counted by filter, renewed, reports, is banned and evicted', async () => {
    const shown = await local.call(`${AGENT}/GetAgent`, { 1: id(bench.agentPath) });
    // selectors = 5 and can_reattest = 7 are empty and so absent; banned = 6 is false.
    expect(shown.numbers).toEqual([1, 2, 3, 4]);
    expect([shown.text(2), shown.text(3)]).toEqual(['join_token', expect.stringMatching(/^\d+$/)]);
    for (const field of [2, 3, 4]) {
      const masked = await local.call(`${AGENT}/GetAgent`, {
        1: id(bench.agentPath),
        2: { [field]: true },
      });
      expect(masked.numbers).toEqual([1, field]);
    }
    await agent.call(`${AGENT}/PostStatus`, { 1: 7, 2: '1.2.3' });
    const count = async (filter: Message) =>
      (await local.call(`${AGENT}/CountAgents`, { 1: filter })).number(1);
    expect(await count({ 1: 'join_token', 3: {}, 4: {} })).toBe(1n);
    expect(await count({ 3: { 1: true } })).toBe(0n);
    expect(await count({ 5: '2000-01-01 00:00:00 +0000 +00' })).toBe(0n);
    const list = await local.call(`${AGENT}/ListAgents`, { 2: { 8: true }, 3: 10 });
    expect(list.messages(1).map((found) => found.text(8))).toContain('1.2.3');
    const renewed = await agent.call(`${AGENT}/RenewAgent`, { 1: { 1: createCsr(newKey().privateKey) } });
    expect(renewed.message(1).message(2).text(2)).toBe(bench.agentPath);

    const other = await bench.server.attest();
    expect((await local.call(`${AGENT}/BanAgent`, { 1: id(other.path) })).numbers).toEqual([]);
    expect((await local.call(`${AGENT}/GetAgent`, { 1: id(other.path) })).number(6)).toBe(1n);
    await local.call(`${AGENT}/DeleteAgent`, { 1: id(other.path) });
    expect(await failure(local.call(`${AGENT}/GetAgent`, { 1: id(other.path) }))).toBe(
      'NOT_FOUND: agent not found',
    );
  });

  test('a denial carries google.rpc.Status with PermissionDeniedDetails', async () => {
    const gone = await bench.server.attest();
    const client = await bench.connect(gone);
    await local.call(`${AGENT}/BanAgent`, { 1: id(gone.path) });
    const error = (await client
      .call(`${ENTRY}/GetAuthorizedEntries`, {})
      .catch((thrown: unknown) => thrown)) as ServiceError;
    expect(error.details).toBe(`authorization denied for method ${ENTRY}/GetAuthorizedEntries`);
    const [trailer] = error.metadata.get('grpc-status-details-bin');
    const rich = decode(trailer as Buffer);
    const any = rich.message(3);
    expect([rich.number(1), any.text(1)]).toEqual([
      7n,
      'type.googleapis.com/spire.api.types.PermissionDeniedDetails',
    ]);
    expect(decode(any.bytes(2)).number(1)).toBe(4n);
  });
});

describe('Bundle and TrustDomain', () => {
  test('our bundle: roots, keys, hint and number', async () => {
    const bundle = await local.call(`${BUNDLE}/GetBundle`, {});
    expect(bundle.numbers).toEqual([1, 2, 3, 4, 5, 6]);
    const key = bundle.messages(3)[0]!;
    expect([bundle.number(4), key.text(2), Number(key.number(3))]).toEqual([
      300n,
      expect.stringMatching(/^\w{32}$/),
      expect.any(Number),
    ]);
    expect(bundle.messages(6)[0]!.numbers).toEqual([1, 2, 3]);
    const published = await below.call(`${BUNDLE}/PublishJWTAuthority`, {
      1: { 1: spki, 2: 'nested', 3: 4_000_000_000 },
    });
    expect(published.messages(1).map((found) => found.text(2))).toContain('nested');
    const witPublished = await below.call(`${BUNDLE}/PublishWITAuthority`, {
      1: { 1: spki, 2: 'nested-wit' },
    });
    expect(witPublished.messages(1).map((found) => found.text(2))).toContain('nested-wit');
    const appended = await local.call(`${BUNDLE}/AppendBundle`, {
      2: { 1: spki, 2: 'appended' },
      3: { 3: true },
    });
    expect(appended.numbers).toEqual([1, 3]);
  });

  test('bundles and relationships of others', async () => {
    const { certificate } = await testAuthority('partner.org');
    const bundle = { 1: 'partner.org', 2: { 1: certificate.der }, 3: { 1: spki, 2: 'k' }, 4: 60, 5: 9 };
    expect(
      statusOf((await local.call(`${BUNDLE}/BatchCreateFederatedBundle`, { 1: bundle })).message(1)),
    ).toBe('0 OK');
    const update = { 1: { 1: 'partner.org', 4: 61 }, 2: { 4: true }, 3: { 4: true } };
    const updated = (await local.call(`${BUNDLE}/BatchUpdateFederatedBundle`, update)).message(1).message(2);
    expect([updated.numbers, updated.number(4)]).toEqual([[1, 4], 61n]);
    const found = await agent.call(`${BUNDLE}/GetFederatedBundle`, { 1: 'partner.org' });
    expect([found.number(5), found.messages(2).length, found.messages(3).length]).toEqual([9n, 1, 1]);
    expect((await local.call(`${BUNDLE}/CountBundles`, {})).number(1)).toBe(2n);
    expect((await local.call(`${BUNDLE}/ListFederatedBundles`, { 2: 5 })).messages(1)).toHaveLength(1);
    await local.call(`${BUNDLE}/BatchSetFederatedBundle`, { 1: bundle });

    const relationship = { 1: 'partner.org', 2: 'https://partner.org/b', 4: { 1: 'spiffe://partner.org/s' } };
    const created = await local.call(`${TRUST}/BatchCreateFederationRelationship`, { 1: relationship });
    expect(created.message(1).message(2).numbers).toEqual([1, 2, 4, 5]);
    const toWeb = { 1: { 1: 'partner.org', 3: {} }, 2: { 2: true }, 3: { 2: true } };
    const web = (await local.call(`${TRUST}/BatchUpdateFederationRelationship`, toWeb)).message(1).message(2);
    expect(web.numbers).toEqual([1, 3]);
    const shown = await local.call(`${TRUST}/GetFederationRelationship`, {
      1: 'partner.org',
      2: { 1: true },
    });
    expect([shown.numbers, shown.text(2)]).toEqual([[1, 2], 'https://partner.org/b']);
    expect((await local.call(`${TRUST}/ListFederationRelationships`, { 2: 5 })).messages(1)).toHaveLength(1);
    const ended = await local.call(`${TRUST}/BatchDeleteFederationRelationship`, { 1: 'partner.org' });
    expect([ended.message(1).text(2), statusOf(ended.message(1))]).toEqual(['partner.org', '0 OK']);
    const deleted = await local.call(`${BUNDLE}/BatchDeleteFederatedBundle`, { 1: 'partner.org', 2: 2 });
    expect([deleted.message(1).text(2), statusOf(deleted.message(1))]).toEqual(['partner.org', '0 OK']);
  });
});

test('LocalAuthority, Logger, Debug, Health', async () => {
  for (const kind of ['X509', 'JWT', 'WIT']) {
    const state = await local.call(`${AUTHORITY}/Get${kind}AuthorityState`, {});
    const first = state.message(1).text(1);
    expect([state.numbers, state.message(1).numbers]).toEqual([[1], [1, 2]]);
    const prepared = (await local.call(`${AUTHORITY}/Prepare${kind}Authority`, {})).message(1).text(1);
    expect((await local.call(`${AUTHORITY}/Get${kind}AuthorityState`, {})).numbers).toEqual([1, 2]);
    const activated = await local.call(`${AUTHORITY}/Activate${kind}Authority`, { 1: prepared });
    expect(activated.message(1).text(1)).toBe(prepared);
    expect((await local.call(`${AUTHORITY}/Get${kind}AuthorityState`, {})).numbers).toEqual([1, 3]);
    expect((await local.call(`${AUTHORITY}/Taint${kind}Authority`, { 1: first })).message(1).text(1)).toBe(
      first,
    );
    const bundle = await local.call(`${BUNDLE}/GetBundle`, {});
    const [field, taint] = { X509: [2, 2], JWT: [3, 4], WIT: [6, 4] }[kind]!;
    expect(bundle.messages(field!).filter((key) => key.number(taint!) === 1n)).toHaveLength(1);
  }
  expect((await local.call(`${LOGGER}/SetLogLevel`, { 1: 3 })).number(1)).toBe(3n);
  const logger = await local.call(`${LOGGER}/ResetLogLevel`, {});
  expect([logger.number(1), logger.number(2)]).toEqual([7n, 7n]);
  expect((await local.call(`${LOGGER}/GetLogger`, {})).numbers).toEqual([1, 2]);
  const info = await local.call(`${DEBUG}/GetInfo`, {});
  const certificate = info.messages(1)[0]!;
  expect([idText(certificate.message(1)), certificate.text(3)]).toEqual([
    'spiffe://example.org/spire/server',
    'O=Sigil',
  ]);
  expect(Number(info.number(3))).toBeGreaterThan(0);
  expect((await local.call(`${HEALTH}/Check`, {})).number(1)).toBe(1n);
});
