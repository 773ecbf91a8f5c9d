// fetch against real servers on loopback.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { authorizeId, type Authorizer } from '../tls/index.ts';
import { createFetch } from './index.ts';

import { authority, client, OK, other, serve, serveRaw, useFetch } from './testing-fetch.ts';

useFetch();

describe('fetch', () => {
  it('calls a verified server with our identity, on one kept connection', async () => {
    const { origin, calls } = await serve();
    const { fetch } = client();
    const response = await fetch(`${origin}/orders?id=1`);
    expect([response.status, response.url, await response.text()]).toEqual([
      200,
      `${origin}/orders?id=1`,
      authority.id('/client'),
    ]);
    await (await fetch(new Request(origin))).text();
    expect(await (await fetch(origin, { method: 'HEAD' })).text()).toBe('');
    expect(calls[0]!.request.url).toBe('/orders?id=1');
    expect(calls[0]!.request.headers.host).toBe(new URL(origin).host);
    expect(new Set(calls.map(({ socket }) => socket)).size).toBe(1);
  });

  it('refuses a server with another ID before a byte leaves', async () => {
    const { origin, seen } = await serveRaw((socket) => socket.write(OK));
    const { fetch } = client({ authorize: authorizeId(authority.id('/payments')) });
    await expect(fetch(origin, { method: 'POST', body: 'secret' })).rejects.toMatchObject({
      code: 'ERR_SVID_UNEXPECTED_ID',
    });
    await sleep(20);
    expect(seen.bytes).toBe(0);
    expect(seen.connections).toBeLessThanOrEqual(1);
  });

  it('refuses a server whose CA is not trusted, and has nothing to say without an SVID', async () => {
    const { origin } = await serve();
    const { fetch, source } = client();
    source.set({ bundles: other.bundles });
    await expect(fetch(origin)).rejects.toMatchObject({ code: 'ERR_SVID_UNTRUSTED' });
    source.set({ svid: new Error('no identity') });
    await expect(fetch(origin)).rejects.toThrow(/failed/);
    expect(() => createFetch({ source, authorize: undefined as unknown as Authorizer })).toThrow(TypeError);
  });

  it('sends bodies: text, bytes, forms, streams', async () => {
    const { origin, calls } = await serve();
    const { fetch } = client();
    const stream = () => new Blob(['a', 'stream']).stream() as ReadableStream<Uint8Array>;
    for (const body of ['text', new Uint8Array([104, 105]), new URLSearchParams({ a: 'b' }), stream()]) {
      await (await fetch(origin, { method: 'POST', body: body as string })).text();
    }
    const request = { method: 'POST', body: stream(), duplex: 'half' };
    await (await fetch(new Request(origin, request as RequestInit))).text();
    expect(calls.map(({ body }) => body)).toEqual(['text', 'hi', 'a=b', 'astream', 'astream']);
    expect(calls.map(({ request }) => request.headers['content-length'])).toEqual([
      '4',
      '2',
      '3',
      undefined,
      undefined,
    ]);
    expect(calls[0]!.request.headers['content-type']).toBe('text/plain;charset=UTF-8');
  });

  it('streams answers as they come, and stops the server when nobody reads', async () => {
    let written = 0;
    const piece = 'x'.repeat(65_536);
    const { origin } = await serve((_call, response) => {
      response.on('error', () => undefined);
      const pump = () => {
        while (!response.destroyed && written < 1_000) {
          written++;
          if (!response.write(piece)) return void response.once('drain', pump);
        }
      };
      pump();
    });
    const { fetch } = client();
    const response = await fetch(origin);
    await sleep(100);
    expect(written).toBeLessThan(600);
    const reader = response.body!.getReader();
    expect((await reader.read()).value!.length).toBeGreaterThan(0);
    await reader.cancel();
  });

  it('ends with its signal: before, while waiting, and in the middle of the answer', async () => {
    const { origin } = await serve((call, response) => {
      if (call.request.url === '/half') response.write('half');
    });
    const { fetch } = client();
    const reason = new Error('enough');
    await expect(fetch(origin, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const waiting = fetch(origin, { signal: controller.signal });
    await sleep(30);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    const second = new AbortController();
    const response = await fetch(`${origin}/half`, { signal: second.signal });
    const text = response.text();
    second.abort(reason);
    await expect(text).rejects.toThrow('enough');
  });

  it('refuses what would confuse a server', async () => {
    const { fetch } = client();
    await expect(fetch('http://127.0.0.1:1/')).rejects.toThrow('not an https URL');
    for (const name of ['content-length', 'transfer-encoding', 'connection']) {
      const request = { url: 'https://127.0.0.1:1/', headers: new Headers({ [name]: '1' }) };
      if (request.headers.has(name))
        await expect(fetch(request.url, { headers: request.headers })).rejects.toThrow('set by fetch itself');
    }
  });

  it('sends the method that was asked for, or none', async () => {
    const { origin, calls } = await serve();
    const { fetch } = client();
    for (const method of ['PURGE', 'delete', 'Post']) await (await fetch(origin, { method })).text();
    expect(calls.map(({ request }) => request.method)).toEqual(['PURGE', 'DELETE', 'POST']);
    for (const method of ['GET / HTTP/1.1\r\nX: y', '', 'CONNECT', 'trace', 'G T'])
      await expect(fetch(origin, { method })).rejects.toThrow(TypeError);
    for (const method of ['GET', 'HEAD'])
      await expect(fetch(origin, { method, body: 'x' })).rejects.toThrow(TypeError);
    await expect(fetch(origin.replace('//', '//user:secret@'))).rejects.toThrow(TypeError);
    expect(calls.length).toBe(3);
  });

  it('follows redirects to the same server only', async () => {
    const { origin, calls } = await serve((call, response) => {
      const to: Record<string, string> = { '/a': '/b', '/loop': '/loop', '/away': 'https://127.0.0.1:1/' };
      const location = to[call.request.url!];
      if (location === undefined) response.end(`${call.request.method} ${call.body}`);
      else response.writeHead(call.request.method === 'PUT' ? 307 : 302, { location }).end();
    });
    const { fetch } = client();
    const followed = await fetch(`${origin}/a`, { method: 'POST', body: 'x' });
    expect([await followed.text(), followed.redirected, followed.url]).toEqual(['GET ', true, `${origin}/b`]);
    expect(await (await fetch(`${origin}/a`, { method: 'PUT', body: 'x' })).text()).toBe('PUT x');
    await expect(fetch(`${origin}/loop`)).rejects.toThrow('redirects');
    await expect(fetch(`${origin}/away`)).rejects.toThrow('not allowed');
    const later = client({ allowRedirect: (() => Promise.resolve(false)) as never });
    await expect(later.fetch(`${origin}/a`)).rejects.toThrow('not allowed');
    await expect(fetch(`${origin}/a`, { redirect: 'error' })).rejects.toThrow('redirects to /b');
    const manual = await fetch(`${origin}/a`, { redirect: 'manual' });
    expect([manual.status, manual.headers.get('location')]).toEqual([302, '/b']);
    expect(calls.length).toBeGreaterThan(8);
  });
});

describe('broken answers', () => {
  it.each([
    ['no HTTP', 'hello\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
    [
      'a switch of protocols',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    ],
    ['nothing', ''],
  ])('%s', async (_name, answer) => {
    const { origin } = await serveRaw((socket) => void socket.end(answer));
    await expect(client().fetch(origin, { signal: AbortSignal.timeout(3_000) })).rejects.not.toMatchObject({
      name: 'TimeoutError',
    });
  });

  it.each([
    ['a body shorter than its length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok'],
    ['a chunk that is cut', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok'],
  ])('%s', async (_name, answer) => {
    const { origin } = await serveRaw((socket) => void socket.end(answer));
    const response = await client().fetch(origin);
    await expect(response.text()).rejects.toThrow('ended early');
  });
});
