// Connections: kept, given up in time, and lost without losing requests.
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { eventually } from '../../test/support/eventually.ts';

import { authority, client, clientSvid, OK, other, serve, serveRaw, useFetch } from './testing-fetch.ts';

useFetch();

describe('connections', () => {
  it('are given up when our SVID rotates: idle ones at once, busy ones after their answer', async () => {
    const answers: (() => void)[] = [];
    const { origin, guarded, calls } = await serve((call, response) => {
      if (call.request.url === '/slow') answers.push(() => response.end('slow'));
      else response.end('quick');
    });
    const { fetch, source } = client();
    const slow = fetch(`${origin}/slow`);
    await eventually(() => answers.length === 1);
    await (await fetch(origin)).text();
    expect(guarded.connections.size).toBe(2);
    source.set({ svid: await authority.issue('/client') });
    await eventually(() => guarded.connections.size === 1);
    answers[0]!();
    expect(await (await slow).text()).toBe('slow');
    await eventually(() => guarded.connections.size === 0);
    await (await fetch(origin)).text();
    expect(new Set(calls.map(({ socket }) => socket)).size).toBe(3);
  });

  it('are closed by the server after their next answer once its own SVID has rotated', async () => {
    const { origin, guarded, source } = await serve();
    const { fetch } = client();
    await (await fetch(origin)).text();
    source.set({ svid: await authority.issue('/server') });
    const response = await fetch(origin);
    expect(response.headers.get('connection')).toBe('close');
    await response.text();
    await eventually(() => guarded.connections.size === 0);
    expect((await fetch(origin)).headers.get('connection')).toBe('keep-alive');
  });

  it('do not outlive the trust in the server: a request under way is sent again', async () => {
    const { origin, guarded, source } = await serve((call, response) => {
      if (calls++ > 0) response.end(`${call.request.method} again`);
    });
    let calls = 0;
    const { fetch, source: ours } = client();
    const pending = fetch(origin);
    await eventually(() => calls === 1);
    source.set({ svid: await other.issue('/server') });
    ours.set({ bundles: other.bundles });
    source.set({ bundles: authority.bundles });
    expect(await (await pending).text()).toBe('GET again');
    expect(guarded.connections.size).toBe(1);
  });

  it('are not used when they are about to expire', async () => {
    const { origin, calls } = await serve();
    let skew = 0;
    const { fetch } = client({ now: () => Date.now() + skew, random: () => 0 });
    await (await fetch(origin)).text();
    skew = clientSvid.notAfter - Date.now() - 12_000; // a margin of 15 to 30 seconds
    await (await fetch(origin)).text();
    expect(calls[0]!.socket).not.toBe(calls[1]!.socket);
  });

  it('wait only so long for their next request', async () => {
    const { origin, guarded } = await serve();
    const { fetch } = client({ idleTimeout: 30 });
    await (await fetch(origin)).text();
    await eventually(() => guarded.connections.size === 0);
  });

  it('that the server ended meanwhile cost no GET, and no POST is sent twice', async () => {
    const { origin, seen } = await serveRaw((socket, text, connection) => {
      if (connection === 1 && text.includes('second')) socket.destroy();
      else socket.write(OK);
    });
    const { fetch } = client();
    expect(await (await fetch(`${origin}/first`)).text()).toBe('ok');
    expect(await (await fetch(`${origin}/second`)).text()).toBe('ok');
    expect(seen.connections).toBe(2);
    const lost = await serveRaw((socket, text, connection) => {
      if (connection === 1 && text.includes('second')) socket.destroy();
      else socket.write(OK);
    });
    await (await fetch(`${lost.origin}/first`)).text();
    await expect(fetch(`${lost.origin}/second`, { method: 'POST', body: 'x' })).rejects.toThrow(
      'fetch failed',
    );
    expect(lost.seen.connections).toBe(1);
  });

  it('close with the fetch', async () => {
    const { origin, guarded } = await serve();
    const { fetch } = client();
    await (await fetch(origin)).text();
    const [socket] = guarded.connections;
    fetch.close();
    await once(socket!, 'close');
    expect(guarded.connections.size).toBe(0);
  });
});
