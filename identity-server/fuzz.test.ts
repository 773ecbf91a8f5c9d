// Every unary RPC with random and mutated messages, from every class of caller: a status each time, and nothing else.
// SIGIL_FUZZ_RUNS says how many calls (npm run test:fuzz); SIGIL_FUZZ_SEED repeats a run.
import { status, type ServiceError } from '@grpc/grpc-js';
import { generateKeyPairSync } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { Health } from '../sdk/api/gen/grpc/health/v1/health_pb.ts';
import { Agent } from '../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import {
  BatchDeleteFederatedBundleRequest_Mode as Mode,
  Bundle,
} from '../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Debug } from '../sdk/api/gen/spire/api/server/debug/v1/debug_pb.ts';
import { Entry } from '../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { LocalAuthority } from '../sdk/api/gen/spire/api/server/localauthority/v1/localauthority_pb.ts';
import { Logger } from '../sdk/api/gen/spire/api/server/logger/v1/logger_pb.ts';
import { SVID } from '../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { TrustDomain } from '../sdk/api/gen/spire/api/server/trustdomain/v1/trustdomain_pb.ts';
import { LogLevel } from '../sdk/api/gen/spire/api/types/logger_pb.ts';
import { createCsr } from '../sdk/x509-svid/csr.ts';
import { MessageMaker, seededRandom } from '../test/support/random-message.ts';
import { rawLocalClient, rawTlsClient, type RawClient } from '../test/support/raw-client.ts';
import { AUTHORIZATION, type CallerClass } from './api/authorization.ts';
import { startTestServer, TRUST_DOMAIN, type TestServer } from './testing.ts';

const RUNS = Number(process.env['SIGIL_FUZZ_RUNS'] ?? 1_500);
const SEED = Number(process.env['SIGIL_FUZZ_SEED'] ?? Date.now() % 1_000_000);
const AT_ONCE = 16;
const SERVICES = [Agent, Bundle, Entry, SVID, TrustDomain, LocalAuthority, Debug, Health] as const;
const METHODS = SERVICES.flatMap((service) =>
  service.methods.filter(({ methodKind }) => methodKind === 'unary'),
);
// Each of these makes keys and writes them down: the others would wait.
const SLOW = /Prepare|RefreshBundle/;
// What a caller did wrong, or was not allowed to. INTERNAL is none of these.
const EXPECTED = new Set<number>(
  (
    [
      'INVALID_ARGUMENT',
      'NOT_FOUND',
      'ALREADY_EXISTS',
      'PERMISSION_DENIED',
      'FAILED_PRECONDITION',
      'RESOURCE_EXHAUSTED',
      'UNIMPLEMENTED',
    ] as const
  ).map((name) => status[name]),
);
// A message that is no message is refused by grpc-js itself, and authorities have rules of their own.
const EXPECTED_INTERNAL = /^(Error deserializing request|only Prepared authorities|failed to refresh bundle)/;

test(
  `every unary RPC, ${RUNS} calls`,
  async () => {
    await using server = await startTestServer({
      config: {
        experimental: { wit_svids: true },
        rate_limits: { attestation: 0, signing: 0, status: 0, key_publishing: 0 },
      },
    });
    const { local, lines } = server;
    // Lines are kept, and a fuzzed SetLogLevel is not part of this.
    await local.unary(Logger.method.setLogLevel, { newLevel: LogLevel.ERROR });
    const callers = await callersOf(server);
    const random = seededRandom(SEED);
    const maker = new MessageMaker(random, await dictionaryOf(server, callers.entryId));
    const counts = new Map<string, number>();
    const problems: string[] = [];
    const rejections: unknown[] = [];
    const onRejection = (reason: unknown) => void rejections.push(reason);
    process.on('unhandledRejection', onRejection);

    const one = async () => {
      let method = maker.pick(METHODS);
      if (SLOW.test(method.name) && random() < 0.97)
        method = maker.pick(METHODS.filter(({ name }) => !SLOW.test(name)));
      const path = `/${method.parent.typeName}/${method.name}`;
      const classes = random() < 0.9 ? AUTHORIZATION.get(path)! : (['any', 'local', 'agent'] as const);
      const client = callers.clients[maker.pick<CallerClass>(classes)];
      const bytes = maker.encoded(method.input);
      let code: number = status.OK;
      try {
        await client.call(path, bytes);
      } catch (error) {
        const { code: failed, details } = error as ServiceError;
        code = failed;
        const isExpected =
          EXPECTED.has(failed) || (failed === status.INTERNAL && EXPECTED_INTERNAL.test(details));
        if (!isExpected)
          problems.push(`${path} ${status[failed]}: ${details} (${bytes.toString('hex').slice(0, 400)})`);
      }
      counts.set(status[code]!, (counts.get(status[code]!) ?? 0) + 1);
    };
    const heaps: number[] = [];
    for (const share of shares(RUNS)) {
      const turns = Array.from({ length: share }).keys();
      const worker = async () => {
        for (const _ of turns) await one();
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      await cleanUp(server, callers.entryId);
      heaps.push(heapNow());
    }
    process.off('unhandledRejection', onRejection);
    const summary = { seed: SEED, calls: RUNS, codes: Object.fromEntries(counts), heaps };
    if (RUNS > 10_000) process.stdout.write(`${JSON.stringify(summary)}\n`);

    expect(`seed ${SEED}: ${problems.slice(0, 5).join('\n')}`).toBe(`seed ${SEED}: `);
    expect(rejections).toEqual([]);
    expect(lines.filter((line) => line.includes('a call failed unexpectedly'))).toEqual([]);
    expect(counts.get('OK')).toBeGreaterThan(RUNS / 20);
    // The last tenth needs no more than the second one did, give or take what an engine keeps.
    expect(heaps.at(-1)! - heaps[1]!).toBeLessThan(16);
    expect((await local.unary(Bundle.method.getBundle, {})).trustDomain).toBe(TRUST_DOMAIN);
  },
  60_000 + RUNS * 20,
);

// In tenths, or few if there is not much to do.
function shares(runs: number): number[] {
  const share = Math.max(200, Math.ceil(runs / 10));
  return Array.from({ length: Math.ceil(runs / share) }, (_, index) => Math.min(share, runs - index * share));
}

async function callersOf(server: TestServer) {
  const { port, socketPath } = server.server;
  const { x509Authorities } = await server.local.unary(Bundle.method.getBundle, {});
  const roots = x509Authorities.map(({ asn1 }) => asn1);
  const agent = await server.attest();
  const entryId = await server.register({ parent: agent.path, path: '/served', selector: 'unix:uid:1' });
  const clients: Record<CallerClass, RawClient> = {
    any: rawTlsClient(port, roots),
    local: rawLocalClient(socketPath),
    agent: rawTlsClient(port, roots, agent),
    admin: rawTlsClient(port, roots, await server.issue(agent, '/admin', { admin: true, id: 'keep-admin' })),
    downstream: rawTlsClient(
      port,
      roots,
      await server.issue(agent, '/below', { downstream: true, id: 'keep-below' }),
    ),
  };
  return { clients, entryId };
}

async function dictionaryOf(server: TestServer, entryId: string) {
  const { x509Authorities, jwtAuthorities } = await server.local.unary(Bundle.method.getBundle, {});
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const csr = createCsr(privateKey);
  return {
    texts: [
      '',
      'a',
      entryId,
      TRUST_DOMAIN,
      'other.org',
      `spiffe://${TRUST_DOMAIN}/web`,
      '/web',
      '/node/1',
      '/spire/agent/join_token/x',
      '/spire/server',
      'unix',
      'uid:1',
      'x509pop',
      '../..',
      '/a//b',
      '\0',
      '\u{1f600}',
      'ES256',
      'RS256',
      'https://127.0.0.1:1/b',
      'http://user@host',
      '2026-01-01 00:00:00 +0000 +00',
      '1',
      '-1',
      '999999999999999999999',
      'a.example',
      '*.example',
      '__proto__',
      jwtAuthorities[0]!.keyId,
      "'; DROP TABLE entries; --",
      '%',
      'constructor',
    ],
    bytes: [
      new Uint8Array(),
      csr,
      csr.subarray(0, 40),
      x509Authorities[0]!.asn1,
      jwtAuthorities[0]!.publicKey,
      publicKey.export({ type: 'spki', format: 'der' }),
      new Uint8Array(2_000),
      new TextEncoder().encode('join token'),
    ],
  };
}

// What was created meanwhile must not count as memory that was lost.
async function cleanUp({ local }: TestServer, entryId: string): Promise<void> {
  const { entries } = await local.unary(Entry.method.listEntries, { outputMask: {} });
  const ids = entries.map(({ id }) => id).filter((id) => id !== entryId && !id.startsWith('keep-'));
  for (let at = 0; at < ids.length; at += 1_000) {
    await local.unary(Entry.method.batchDeleteEntry, { ids: ids.slice(at, at + 1_000) });
  }
  const { bundles } = await local.unary(Bundle.method.listFederatedBundles, { outputMask: {} });
  const names = bundles.map(({ trustDomain }) => trustDomain);
  await local.unary(Bundle.method.batchDeleteFederatedBundle, { trustDomains: names, mode: Mode.DISSOCIATE });
}

function heapNow(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return Math.round(process.memoryUsage().heapUsed / 1_048_576);
}
