// Messages on their way through two proxies: bodies, framing, pipelining, broken peers. Raw sockets at both ends.
import { Buffer } from 'node:buffer';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './test-support/eventually.ts';
import { addressOf } from './test-support/mesh.ts';
import { Bench } from './test-support/pair.ts';
import { helloApplication, rawApplication, rawClient } from './test-support/raw-http.ts';

const bench = new Bench();
beforeAll(() => bench.open());
afterEach(() => bench.reset());
afterAll(() => bench.close());

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** Answers every complete head with the given bytes. */
function answering(response: string, options: { readonly thenEnd?: boolean } = {}) {
  return rawApplication((received, socket) => {
    if (!received.endsWith('\r\n\r\n')) return;
    socket.write(Buffer.from(response, 'latin1'));
    if (options.thenEnd === true) socket.end();
  });
}

describe('request bodies', () => {
  it('pass with a length', async () => {
    const application = await rawApplication((received, socket) => {
      if (received.endsWith('world')) socket.write(OK);
    });
    const { client } = await bench.pair(application);
    client.send('POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello ');
    await eventually(() => expect(application.received[0]).toContain('hello '));
    client.send('world');
    expect((await client.response()).body).toBe('ok');
    expect(application.received[0]).toMatch(/content-length: 11\r\n\r\nhello world$/);
    expect(application.received[0]).not.toContain('transfer-encoding');
  });

  it('pass in chunks, without their extensions and with their trailers', async () => {
    const application = await rawApplication((received, socket) => {
      if (received.includes('\r\n0\r\n')) socket.write(OK);
    });
    const { client } = await bench.pair(application);
    client.send('POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: CHUNKED\r\n\r\n');
    client.send('5;x="y"\r\nhello\r\n0006\r\n world\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n');
    expect((await client.response()).body).toBe('ok');
    const [head, body] = application.received[0]!.split(/\r\n\r\n([^]*)/) as [string, string];
    expect(head).toContain('transfer-encoding: chunked');
    expect(body.replaceAll(/[0-9a-f]+\r\n(.*?)\r\n/g, '$1')).toContain('hello world');
    expect(body).toMatch(/0\r\nx-sum: 1\r\n\r\n$/);
  });

  it('wait for 100 Continue, which is given only when the request is allowed', async () => {
    const application = await rawApplication((received, socket) => {
      if (received.endsWith('body')) socket.write(OK);
    });
    const { client, connect } = await bench.pair(application);
    client.send('POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
    expect((await client.response()).status).toBe(100);
    client.send('body');
    expect((await client.response()).status).toBe(200);
    expect(application.received[0]).not.toContain('expect');
    const refused = await connect();
    refused.send('POST /a/../b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
    expect((await refused.response()).status).toBe(400);
    await refused.closed;
  });

  it('are held back by a slow application, and all of them arrives', { timeout: 30_000 }, async () => {
    const size = 48_000_000;
    let seen = 0;
    let paused = true;
    const application = await rawApplication((_received, socket, index) => {
      seen += application.received[index]!.length;
      application.received[index] = '';
      if (paused) socket.pause();
      if (seen > size) socket.write(OK);
    });
    const { client } = await bench.pair(application);
    client.send(`POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: ${size}\r\n\r\n`);
    client.socket.write(Buffer.alloc(size, 97));
    await eventually(() => expect(seen).toBeGreaterThan(0));
    await new Promise((resolve) => setTimeout(resolve, 300));
    // What the kernel and four sockets hold, and no more.
    const stuck = client.socket.bytesWritten - client.socket.writableLength;
    expect(stuck).toBeLessThan(size);
    paused = false;
    for (const socket of application.sockets) socket.resume();
    expect((await client.response()).status).toBe(200);
  });
});

describe('responses', () => {
  it.each([
    ['HEAD keeps the length', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n', 200, '99', ''],
    ['204 has none', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', 204, undefined, ''],
    ['304 keeps the length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n', 304, '99', ''],
    [
      'chunks',
      'GET',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      200,
      undefined,
      'ok',
    ],
    ['an empty body', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 200, '0', ''],
    ['early hints are dropped', 'GET', `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${OK}`, 200, '2', 'ok'],
    ['an error of the application', 'GET', 'HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno', 500, '2', 'no'],
  ])('%s', async (_name, method, wire, status, length, body) => {
    const { client, inbound } = await bench.pair(await answering(wire));
    for (let count = 0; count < 2; count++) {
      client.send(`${method} / HTTP/1.1\r\nHost: h\r\n\r\n`);
      const response = await client.response(method);
      expect([response.status, response.body]).toEqual([status, body]);
      expect(response.headers.get('content-length')).toBe(length);
    }
    expect(inbound.stats.connections.accepted).toBe(1);
  });

  it('that end with the connection are sent in chunks', async () => {
    const { client } = await bench.pair(
      await answering('HTTP/1.1 200 OK\r\n\r\nuntil the end', { thenEnd: true }),
    );
    for (let count = 0; count < 2; count++) {
      client.send(GET);
      const response = await client.response();
      expect(response.headers.get('transfer-encoding')).toBe('chunked');
      expect(response.body).toBe('until the end');
    }
  });

  it('keep repeated fields apart, and drop hop-by-hop ones', async () => {
    const wire = `HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nX-Request-Id: theirs\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 0\r\n\r\n`;
    const { client } = await bench.pair(await answering(wire));
    client.send(GET);
    const { headers } = await client.response();
    expect(client.received()).toContain('set-cookie: a=1\r\nset-cookie: b=2\r\n');
    expect(headers.get('x-hop')).toBeUndefined();
    expect(headers.get('x-request-id')).not.toBe('theirs');
  });

  it('are held back by a slow reader', { timeout: 30_000 }, async () => {
    const size = 48_000_000;
    const body = Buffer.alloc(size, 98);
    let written = 0;
    const application = await rawApplication((_received, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      const pump = () => {
        while (written < size) {
          const piece = body.subarray(written, written + 65_536);
          written += piece.length;
          if (!socket.write(piece)) return;
        }
      };
      socket.on('drain', pump);
      pump();
    });
    const { client } = await bench.pair(application);
    client.socket.pause();
    client.send(GET);
    await eventually(() => expect(written).toBeGreaterThan(0));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(written).toBeLessThan(size);
    client.socket.resume();
    expect((await client.response()).body).toHaveLength(size);
  });

  it('that come before the request is read whole end the connection', async () => {
    const application = await rawApplication((_received, socket) => {
      socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno');
    });
    const { client, connect } = await bench.pair(application);
    client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome');
    expect((await client.response()).status).toBe(413);
    await client.closed;
    const next = await connect();
    next.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome');
    expect((await next.response()).status).toBe(413);
    expect(application.received).toHaveLength(2);
  });
});

describe('connections', () => {
  it('answer pipelined requests in order', async () => {
    const application = await helloApplication();
    const { client } = await bench.pair(application);
    client.send(
      `${GET}HEAD /b HTTP/1.1\r\nHost: h\r\n\r\nPOST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n${GET}`,
    );
    expect((await client.response()).body).toBe('hello');
    expect((await client.response('HEAD')).status).toBe(200);
    client.socket.destroy();
  });

  it('answer 200 pipelined requests that come in one piece', async () => {
    const { client } = await bench.pair(await helloApplication());
    client.send(GET.repeat(200));
    for (let count = 0; count < 200; count++) expect((await client.response()).body).toBe('hello');
  });

  it('end at the upstream when the client goes away', async () => {
    const application = await rawApplication((_received, socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome');
    });
    const { client, outbound, inbound } = await bench.pair(application);
    client.send(GET);
    await eventually(() => expect(client.received()).toContain('some'));
    client.socket.destroy();
    await eventually(() => expect(application.sockets.size).toBe(0));
    await eventually(() => expect([outbound.lines.length, inbound.lines.length]).toEqual([1, 1]));
  });

  it('take a request that names a host as its Host field does', async () => {
    const application = await helloApplication();
    const { client } = await bench.pair(application);
    client.send('GET http://h/x HTTP/1.1\r\nHost: h\r\n\r\n');
    expect((await client.response()).status).toBe(200);
    expect(application.received[0]).toMatch(/^GET \/x HTTP\/1\.1\r\nhost: h\r\n/);
  });
});

describe('broken requests', () => {
  it.each([
    ['a lone LF', 'GET / HTTP/1.1\nHost: h\n\n', 400],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    ['another host in the target', 'GET http://evil/ HTTP/1.1\r\nHost: h\r\n\r\n', 400],
    ['HTTP/1.0', 'GET / HTTP/1.0\r\nHost: h\r\n\r\n', 505],
    ['CONNECT', 'CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n', 501],
    [
      'length and chunks',
      'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    [
      'an unknown transfer coding',
      'POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET /evil HTTP/1.1\r\nHost: h\r\n\r\n',
      501,
    ],
    ['a long line', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n`, 414],
    ['many fields', `GET / HTTP/1.1\r\nHost: h\r\n${'A: b\r\n'.repeat(200)}\r\n`, 431],
  ])('%s: answered once, and the connection ends', async (_name, wire, status) => {
    const application = await helloApplication();
    const { client, outbound } = await bench.pair(application);
    client.send(wire);
    const response = await client.response();
    expect(response.status).toBe(status);
    await client.closed;
    expect(application.received).toHaveLength(0);
    expect(outbound.stats.malformed_requests).toBe(1);
    expect(outbound.lines[0]).toMatchObject({
      request_id: response.headers.get('x-request-id'),
      verdict: 'deny',
      rule: 'malformed',
      status,
    });
  });

  it('whose chunks break off reach the application as no whole request', async () => {
    const application = await rawApplication(() => undefined);
    const { client } = await bench.pair(application);
    client.send('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await eventually(() => expect(application.received[0]).toContain('abc'));
    client.send('3\r\nabcd\r\n0\r\n\r\n');
    expect((await client.response()).status).toBe(400);
    await client.closed;
    await eventually(() => expect(application.sockets.size).toBe(0));
    expect(application.received[0]).not.toContain('\r\n0\r\n');
  });

  it('that are slow are given up', async () => {
    const application = await rawApplication(() => undefined);
    const { connect } = await bench.pair(application, {
      client: { timeouts: { head: 100, body: 100, idle: 100 } },
    });
    const [head, body, idle] = [await connect(), await connect(), await connect()];
    head.send('GET / HTTP/1.1\r\nHos');
    body.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc');
    expect((await head.response()).status).toBe(408);
    expect((await body.response()).status).toBe(408);
    await Promise.all([head.closed, body.closed, idle.closed]);
    expect(idle.received()).toBe('');
  });
});

describe('broken responses', () => {
  it.each([
    [
      'length and chunks',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
    ['lone LFs', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
    ['an upgrade that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n'],
    ['a blank before a colon', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n'],
    ['no HTTP', 'nonsense\r\n\r\n'],
    ['endless interim responses', `HTTP/1.1 103 Early Hints\r\n\r\n`.repeat(20)],
  ])('%s: a 502, and the connection is not used again', async (_name, wire) => {
    const application = await answering(wire);
    const { client } = await bench.pair(application);
    for (let count = 1; count <= 2; count++) {
      client.send(GET);
      expect((await client.response()).status).toBe(502);
      expect(application.received).toHaveLength(count);
    }
  });

  it('that break off break off for the client, too', async () => {
    const application = await answering('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc', { thenEnd: true });
    const { client } = await bench.pair(application);
    client.send(GET);
    await client.closed;
    expect(client.received()).toMatch(/content-length: 9[^]*abc$/);
  });

  it('do not reach the next request: bytes that nobody asked for end the connection', async () => {
    const application = await answering(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`);
    const { client } = await bench.pair(application);
    for (let count = 1; count <= 3; count++) {
      client.send(GET);
      expect((await client.response()).body).toBe('ok');
    }
    expect(application.received).toHaveLength(3);
  });
});

describe('a pooled connection that the application has closed', () => {
  it('is replaced: for a request without a body even if it was tried first', async () => {
    let answered = 0;
    const application = await rawApplication((received, socket, index) => {
      const requests = received.split('\r\n\r\n').length - 1;
      // The first connection answers once, and ends when it is used again.
      if (index === 0 && requests > 1) socket.destroy();
      else {
        answered++;
        socket.write(OK);
      }
    });
    const { client } = await bench.pair(application);
    client.send(GET);
    expect((await client.response()).status).toBe(200);
    client.send(GET);
    expect((await client.response()).status).toBe(200);
    expect(application.received).toHaveLength(2);
    expect(answered).toBe(2);
  });

  it('is an error for a request that must not be sent twice', async () => {
    const application = await rawApplication((received, socket) => {
      if (received.includes('POST')) socket.destroy();
      else socket.write(OK);
    });
    const { client } = await bench.pair(application);
    client.send(GET);
    expect((await client.response()).status).toBe(200);
    client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n');
    expect((await client.response()).status).toBe(502);
    expect(application.received.join('').match(/POST/g)).toHaveLength(1);
  });
});

describe('many connections', () => {
  it('are served at once, and those beyond the limit are closed', async () => {
    const application = bench.own(await helloApplication());
    const listener = { name: 'out', listen: '127.0.0.1:0', max_connections: 20 };
    const inbound = await bench.inbound(application);
    const { host, port } = addressOf(inbound, 'in') as { host: string; port: number };
    const upstream = { address: `${host}:${port}`, accept: ['spiffe://example.org/server'] };
    const outbound = await bench.mesh.start({
      id: 'spiffe://example.org/client',
      outbound: [{ ...listener, upstream }],
    });
    const clients = await Promise.all(
      Array.from({ length: 30 }, () => rawClient(addressOf(outbound, 'out'))),
    );
    for (const client of clients) client.send(GET);
    const results = await Promise.all(
      clients.map((client) =>
        client.response().then(
          ({ body }) => body,
          () => 'closed',
        ),
      ),
    );
    expect(results.filter((result) => result === 'hello')).toHaveLength(20);
    expect(outbound.stats.connections).toEqual({ accepted: 20, refused: 10 });
    for (const client of clients) client.socket.destroy();
  });
});
