// Two proxies, mutual TLS between them, raw sockets at both ends: identity, policy and what each side is told.
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './test-support/eventually.ts';
import { addressText } from './test-support/mesh.ts';
import { Bench, CLIENT, SERVER } from './test-support/pair.ts';
import { helloApplication, rawApplication } from './test-support/raw-http.ts';

const bench = new Bench();
beforeAll(() => bench.open());
afterEach(() => bench.reset());
afterAll(() => bench.close());

const READ_ORDERS = `
version: sigil.policy/v1
service: ${SERVER}
allow:
  - { id: read-orders, from: [${CLIENT}], methods: [GET], paths: [/orders/*] }
`;

describe('a request through two proxies', () => {
  it('arrives with the identity that was proven, and comes back with a request id', async () => {
    const application = await helloApplication();
    const { inbound, outbound, client } = await bench.pair(application);
    client.send(
      'GET /orders/1?x=%2F HTTP/1.1\r\nHost: orders\r\nX-Spiffe-Id: spiffe://example.org/admin\r\nX_Spiffe_Id: y\r\n' +
        'X-Forwarded-Client-Cert: URI=z\r\nX-Request-Id: mine\r\nConnection: X-Hop\r\nX-Hop: 1\r\nUpgrade: h2c\r\nAccept: */*\r\n\r\n',
    );
    const response = await client.response();
    expect(response.status).toBe(200);
    expect(response.body).toBe('hello');
    expect(response.headers.get('x-app')).toBe('yes');
    const id = response.headers.get('x-request-id');
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    const lines = application.received[0]!.split('\r\n');
    expect(lines[0]).toBe('GET /orders/1?x=%2F HTTP/1.1');
    expect(lines.slice(1).filter((line) => !line.startsWith('x-request-id: '))).toEqual([
      'host: orders',
      'accept: */*',
      `x-spiffe-id: ${CLIENT}`,
      '',
      '',
    ]);
    const out = await eventually(() => {
      expect(outbound.lines).toHaveLength(1);
      return outbound.lines[0]!;
    });
    expect(out).toMatchObject({
      request_id: id,
      direction: 'outbound',
      status: 200,
      upstream_id: SERVER,
      verdict: 'allow',
    });
    await eventually(() => expect(inbound.lines).toHaveLength(1));
    expect(inbound.lines[0]).toMatchObject({
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
      duration_ms: expect.any(Number),
    });
    expect(inbound.stats).toMatchObject({ requests: { allow: 1, deny: 0 } });
    expect(inbound.stats.application_bytes_received).toBeGreaterThan(50);
  });

  it('is refused by default with a request id and no reason; the log has the reason', async () => {
    const application = await helloApplication();
    const { inbound, client } = await bench.pair(application, { server: { policy: READ_ORDERS } });
    for (const [request, status] of [
      ['GET /orders/1', 200],
      ['GET /orders/1/items', 403],
      ['POST /orders/1', 403],
      ['GET /admin', 403],
      ['GET /orders/../admin', 400],
      ['GET /orders/..%2fadmin', 400],
      ['GET /orders//1', 400],
    ] as const) {
      client.send(`${request} HTTP/1.1\r\nHost: h\r\n\r\n`);
      const response = await client.response();
      expect([request, response.status]).toEqual([request, status]);
      if (status !== 403) continue;
      const { error, request_id: id } = JSON.parse(response.body) as Record<string, string>;
      expect(error).toBe('forbidden');
      expect(response.body).not.toContain('rule');
      const line = await eventually(() => {
        const found = inbound.lines.find((each) => each['request_id'] === id);
        expect(found).toBeDefined();
        return found!;
      });
      expect(line).toMatchObject({
        peer: CLIENT,
        verdict: 'deny',
        rule: 'default',
        reason: 'no rule allows it',
        status,
      });
    }
    expect(application.received).toHaveLength(1);
    expect(application.received[0]!.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  it('uses a Unix socket of the application, and one connection for many requests', async () => {
    const application = await helloApplication(join(bench.folder, 'app.sock'));
    const { inbound, client, connect } = await bench.pair(application);
    for (let count = 0; count < 5; count++) {
      client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      expect((await client.response()).body).toBe('hello');
    }
    const second = await connect();
    second.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    expect((await second.response()).body).toBe('hello');
    expect(application.received).toHaveLength(1);
    expect(inbound.stats.connections.accepted).toBe(1);
  });
});

describe('an upstream', () => {
  it('with another valid SVID is refused before a byte of the request leaves', async () => {
    const application = await helloApplication();
    const other = 'spiffe://example.org/other';
    const { inbound, outbound, client } = await bench.pair(application, { server: { id: other } });
    client.send('POST /charge HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nsecret');
    const response = await client.response();
    expect(response.status).toBe(503);
    expect(JSON.parse(response.body)).toEqual({
      error: 'unavailable',
      request_id: response.headers.get('x-request-id'),
    });
    await eventually(() => expect(outbound.lines).toHaveLength(1));
    expect(outbound.lines[0]).toMatchObject({
      status: 503,
      verdict: 'deny',
      rule: 'upstream-accept',
      reason: `the upstream is ${other}; accepted: ${SERVER}`,
      upstream_id: other,
    });
    expect(outbound.stats.upstream_refusals).toBe(1);
    expect(inbound.stats.application_bytes_received).toBe(0);
    expect(application.received).toHaveLength(0);
  });

  it('that is away is a 503', async () => {
    const application = await helloApplication();
    const { inbound, outbound, client } = await bench.pair(application);
    await inbound.drain(0);
    client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    expect((await client.response()).status).toBe(503);
    await eventually(() => expect(outbound.lines[0]?.['reason']).toContain('no connection to 127.0.0.1'));
  });

  it('is not dialled without an identity of our own, and is as soon as there is one', async () => {
    const application = await helloApplication();
    const { inbound, outbound, client } = await bench.pair(application, { client: { id: undefined } });
    client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    expect((await client.response()).status).toBe(503);
    expect(inbound.stats.connections.accepted).toBe(0);
    outbound.rotate({ uris: [CLIENT] });
    client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    expect((await client.response()).status).toBe(200);
  });
});

describe('identities that change', () => {
  it('are used by the next request: pooled connections retire, and no request fails', async () => {
    const application = await helloApplication();
    const { inbound, outbound, client } = await bench.pair(application);
    for (let generation = 0; generation < 5; generation++) {
      client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      expect((await client.response()).status).toBe(200);
      outbound.rotate();
      inbound.rotate();
    }
    expect(inbound.stats.connections.accepted).toBe(5);
  });

  it('end the connections that were made under them', { timeout: 15_000 }, async () => {
    const application = bench.own(await helloApplication());
    const inbound = await bench.inbound(application);
    const notAfter = Date.now() + 2_500;
    const outbound = await bench.mesh.start({
      id: CLIENT,
      shape: { notAfter },
      outbound: [
        {
          name: 'out',
          listen: '127.0.0.1:0',
          upstream: { address: addressText(inbound, 'in'), accept: [SERVER] },
        },
      ],
    });
    const client = await bench.connect(outbound, 'out');
    // The connection is retired by the client side before the end, so that no request is caught by it.
    let failures = 0;
    while (Date.now() < notAfter - 1_200) {
      client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      if ((await client.response()).status !== 200) failures++;
    }
    expect(failures).toBe(0);
    await eventually(() => expect(application.received.length).toBeGreaterThan(0));
    await new Promise((resolve) => setTimeout(resolve, notAfter - Date.now() + 50));
    client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    expect((await client.response()).status).toBe(503);
  });
});

describe('the admin listener', () => {
  it('says whether it is ready, who it is and what it counted', async () => {
    const application = bench.own(await helloApplication());
    const admin = `unix:${join(bench.folder, 'admin.sock')}`;
    const proxy = await bench.inbound(application, { id: undefined, admin });
    const client = await bench.connect(proxy, 'admin');
    const get = async (path: string) => {
      client.send(`GET ${path} HTTP/1.1\r\nHost: admin\r\n\r\n`);
      const { status, body } = await client.response();
      return { status, body: JSON.parse(body) as Record<string, unknown> };
    };
    expect(await get('/ready')).toEqual({ status: 503, body: { ready: false } });
    expect((await get('/identity')).status).toBe(503);
    proxy.rotate({ uris: [SERVER] });
    expect(await get('/ready')).toEqual({ status: 200, body: { ready: true } });
    expect(await get('/identity')).toEqual({
      status: 200,
      body: {
        id: SERVER,
        serial: expect.stringMatching(/^[0-9a-f]{32}$/),
        not_before: expect.stringMatching(/Z$/),
        not_after: expect.stringMatching(/Z$/),
        pid: process.pid,
        runtime: expect.stringMatching(/^(bun|deno|node) \d+\.\d+/),
      },
    });
    expect(await get('/stats')).toMatchObject({
      status: 200,
      body: { connections: { accepted: 1 }, requests: { allow: 0, deny: 0 }, application_bytes_received: 0 },
    });
    expect((await get('/other')).status).toBe(404);
  });
});

describe('starting and stopping', () => {
  it('names the key and the address that is in use, and closes what it had opened', async () => {
    const application = bench.own(await helloApplication());
    const first = await bench.inbound(application);
    const listen = addressText(first, 'in');
    const free = join(bench.folder, 'free.sock');
    const start = bench.mesh.start({
      id: CLIENT,
      outbound: [
        { name: 'a', listen: `unix:${free}`, upstream: { address: listen, accept: [SERVER] } },
        { name: 'b', listen, upstream: { address: listen, accept: [SERVER] } },
      ],
    });
    await expect(start).rejects.toThrow(`outbound.1.listen: ${listen} is in use by another program`);
    const again = await bench.mesh.start({
      id: CLIENT,
      outbound: [{ name: 'a', listen: `unix:${free}`, upstream: { address: listen, accept: [SERVER] } }],
    });
    expect(again.addresses.size).toBe(1);
  });

  it('drains: what is in flight is answered, what is idle is closed', async () => {
    const application = await rawApplication((received, socket) => {
      if (received.endsWith('ab')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    const { inbound, outbound, client, connect } = await bench.pair(application);
    const idle = await connect();
    client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\na');
    await eventually(() => expect(application.received.join('')).toContain('\r\n\r\na'));
    const drained = outbound.drain(5_000);
    await idle.closed;
    client.send('b');
    const response = await client.response();
    expect(response.status).toBe(200);
    expect(response.headers.get('connection')).toBe('close');
    await Promise.all([client.closed, drained]);
    expect(inbound.stats.requests.allow).toBe(1);
  });
});
