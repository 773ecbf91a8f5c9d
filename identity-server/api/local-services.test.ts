import { expect, test } from 'vitest';
import {
  Health,
  HealthCheckResponse_ServingStatus as Serving,
} from '../../sdk/api/gen/grpc/health/v1/health_pb.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Debug } from '../../sdk/api/gen/spire/api/server/debug/v1/debug_pb.ts';
import { Logger } from '../../sdk/api/gen/spire/api/server/logger/v1/logger_pb.ts';
import { LogLevel } from '../../sdk/api/gen/spire/api/types/logger_pb.ts';
import { failureOf, startTestServer } from '../testing.ts';

test('Logger: the level is changed while the server runs, and reset to that of the start', async () => {
  await using server = await startTestServer();
  const { local, lines } = server;
  const set = (newLevel: LogLevel) => local.unary(Logger.method.setLogLevel, { newLevel });
  expect(await local.unary(Logger.method.getLogger, {})).toMatchObject({
    currentLevel: LogLevel.TRACE,
    launchLevel: LogLevel.TRACE,
  });
  expect(await set(LogLevel.ERROR)).toMatchObject({
    currentLevel: LogLevel.ERROR,
    launchLevel: LogLevel.TRACE,
  });
  const before = lines.length;
  await local.unary(Logger.method.getLogger, {});
  expect(lines.length).toBe(before);
  expect(await failureOf(set(LogLevel.UNSPECIFIED))).toMatch(/^INVALID_ARGUMENT: newLevel value cannot be/);
  expect(await failureOf(set(99 as LogLevel))).toMatch(/^INVALID_ARGUMENT/);
  expect(await local.unary(Logger.method.resetLogLevel, {})).toMatchObject({ currentLevel: LogLevel.TRACE });
  await local.unary(Logger.method.getLogger, {});
  expect(lines.length).toBeGreaterThan(before);
});

test('Debug: chain, uptime and counts; federated bundles are counted without our own', async () => {
  let time = Date.now();
  await using server = await startTestServer({ now: () => time });
  const agent = await server.attest();
  await server.register({ parent: agent.path, path: '/web', selector: 'unix:uid:1' });
  await server.local.unary(Bundle.method.batchSetFederatedBundle, { bundle: [{ trustDomain: 'a.org' }] });
  time += 5_500;
  const info = await server.local.unary(Debug.method.getInfo, {});
  expect(info).toMatchObject({ uptime: 5, agentsCount: 1, entriesCount: 1, federatedBundlesCount: 1 });
  expect(info.svidChain).toMatchObject([
    { id: { trustDomain: 'example.org', path: '/spire/server' }, subject: 'O=Sigil' },
  ]);
  expect(Number(info.svidChain[0]!.expiresAt)).toBeGreaterThan(time / 1_000);
});

test('Health: serving while it can sign, for the server as a whole', async () => {
  let time = Date.now();
  await using server = await startTestServer({ now: () => time });
  const check = (service: string) => server.local.unary(Health.method.check, { service });
  expect((await check('')).status).toBe(Serving.SERVING);
  expect(await failureOf(check('x'))).toMatch(/^INVALID_ARGUMENT: per-service health/);
  expect(await failureOf(server.local.unary(Health.method.list, {}))).toMatch(/^UNIMPLEMENTED/);
  time += 25 * 3_600_000;
  expect((await check('')).status).toBe(Serving.NOT_SERVING);
});
