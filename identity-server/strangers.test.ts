// What those without an SVID can take from those who have one.
import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { Bundle } from '../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { eventually } from '../test/support/eventually.ts';
import { failureOf, startTestServer } from './testing.ts';

/** Opens connections and says nothing on them; resolves when the server has ended `expected` of them. */
async function openSilently(port: number, count: number, expected: number): Promise<{ kept: Socket[] }> {
  const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1').on('error', () => {}));
  await Promise.all(sockets.map((socket) => new Promise((resolve) => void socket.once('connect', resolve))));
  for (const socket of sockets) socket.resume();
  const open = () => sockets.filter((socket) => !socket.destroyed);
  await eventually(() => count - open().length >= expected, { what: `${expected} connections are ended` });
  return { kept: open() };
}

// The server runs on Node; on Bun a listener's own limits come first.
test.skipIf('Bun' in globalThis)('silent connections keep nobody out who has an SVID', async () => {
  await using server = await startTestServer();
  const agent = await server.attest();
  // Two connections of agents are open and proven: they do not count.
  const before = await server.connect(agent);
  const sync = async (client: typeof before) => {
    const call = client.bidiStream(Entry.method.syncAuthorizedEntries, { timeout: 5_000 });
    call.send({});
    call.close();
    for await (const _ of call.messages);
  };
  await sync(before);

  const { kept } = await openSilently(server.server.port, 1_100, 100);
  expect(kept.length).toBeGreaterThanOrEqual(900);
  await sync(before);
  const stranger = await server.connect();
  expect(await failureOf(stranger.unary(Bundle.method.getBundle, {}, { timeout: 1_000 }))).toMatch(
    /UNAVAILABLE|DEADLINE_EXCEEDED/,
  );
  expect(server.lines.filter((line) => line.includes('have shown no SVID'))).toHaveLength(1);

  for (const socket of kept) socket.destroy();
  await sync(await server.connect(agent));
  const another = await server.connect();
  expect((await another.unary(Bundle.method.getBundle, {}, { timeout: 5_000 })).x509Authorities).toHaveLength(
    1,
  );
});
