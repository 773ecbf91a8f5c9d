// Two proxies, mutual TLS between them, raw sockets at both ends.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from './test-support/eventually.ts';
import {
  addressOf,
  addressText,
  TestMesh,
  type TestProxy,
  type TestProxyOptions,
} from './test-support/mesh.ts';
import { helloApplication, rawClient, type RawApplication } from './test-support/raw-http.ts';

const SERVER = 'spiffe://example.org/server';
const CLIENT = 'spiffe://example.org/client';

let folder: string;
let mesh: TestMesh;
const applications: RawApplication[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sigil-proxy-'));
});
beforeEach(() => {
  mesh = new TestMesh();
});
afterEach(async () => {
  await mesh.stop();
  for (const application of applications.splice(0)) application.close();
});
afterAll(() => rm(folder, { recursive: true }));

interface Pair {
  readonly inbound: TestProxy;
  readonly outbound: TestProxy;
}

/** client -> outbound -> mTLS -> inbound -> application. */
async function pair(
  application: RawApplication,
  server: Partial<TestProxyOptions> = {},
  client: Partial<TestProxyOptions> & { accept?: string[] } = {},
): Promise<Pair> {
  applications.push(application);
  const { address } = application;
  const inbound = await mesh.start({
    id: SERVER,
    inbound: [
      {
        name: 'in',
        listen: '127.0.0.1:0',
        application: address.kind === 'unix' ? `unix:${address.path}` : `127.0.0.1:${address.port}`,
      },
    ],
    ...server,
  });
  const { accept = [SERVER], ...rest } = client;
  const outbound = await mesh.start({
    id: CLIENT,
    outbound: [
      {
        name: 'out',
        listen: `unix:${join(folder, 'out.sock')}`,
        upstream: { address: addressText(inbound, 'in'), accept },
      },
    ],
    ...rest,
  });
  return { inbound, outbound };
}

describe('a request through two proxies', () => {
  it('arrives with the identity that was proven, and comes back with a request id', async () => {
    const application = await helloApplication();
    const { inbound, outbound } = await pair(application);
    const client = await rawClient(addressOf(outbound, 'out'));
    client.send(
      'GET /orders/1?x=%2F HTTP/1.1\r\nHost: orders\r\nX-Spiffe-Id: spiffe://example.org/admin\r\nX_Spiffe_Id: y\r\n' +
        'X-Forwarded-Client-Cert: URI=z\r\nX-Request-Id: mine\r\nConnection: X-Hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\nAccept: */*\r\n\r\n',
    );
    const response = await client.response();
    expect(response.status).toBe(200);
    expect(response.body).toBe('hello');
    expect(response.headers.get('x-app')).toBe('yes');
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/);
    const lines = application.received[0]!.split('\r\n');
    expect(lines[0]).toBe('GET /orders/1?x=%2F HTTP/1.1');
    expect(lines.slice(1).filter((line) => !line.startsWith('x-request-id: '))).toEqual([
      'host: orders',
      'accept: */*',
      `x-spiffe-id: ${CLIENT}`,
      '',
      '',
    ]);
    const id = response.headers.get('x-request-id');
    const out = await eventually(() => outbound.lines.find((line) => line['request_id'] === id)!);
    expect(out).toMatchObject({ direction: 'outbound', status: 200, upstream_id: SERVER, verdict: 'allow' });
    const [line] = await eventually(() => {
      expect(inbound.lines).toHaveLength(1);
      return inbound.lines;
    });
    expect(line).toMatchObject({
      request_id: out['upstream_request_id'],
      parent_request_id: id,
      direction: 'inbound',
      listener: 'in',
      peer: CLIENT,
      method: 'GET',
      path: '/orders/1',
      status: 200,
      verdict: 'allow',
      rule: 'everyone',
    });
    expect(inbound.stats).toMatchObject({ requests: { allow: 1, deny: 0 } });
    expect(inbound.stats.application_bytes_received).toBeGreaterThan(50);
  });
});
