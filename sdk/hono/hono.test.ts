// Hono apps, served over real mutual TLS.
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { Hono } from 'hono';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testAuthority, type TestAuthority } from '../../test/support/authority.ts';
import { jwtBundleSet } from '../bundle/jwt-bundle.ts';
import { createFetch } from '../fetch/index.ts';
import { createJwtSvidIssuer } from '../jwt-svid/issue.ts';
import { localSigner } from '../jwt-svid/signer.ts';
import { validateJwtSvid } from '../jwt-svid/validate.ts';
import { parseTrustDomain, type SpiffeId } from '../spiffe-id.ts';
import { authorizeAny, authorizeId, authorizeMemberOf, connectTls } from '../tls/index.ts';
import { FixedSource, listening } from '../tls/testing.ts';
import {
  bearerJwtSvid,
  serveHono,
  spiffePeer,
  type FetchApp,
  type PeerVariables,
  type ServeHonoOptions,
} from './index.ts';

let authority: TestAuthority;
let sourceOf: (path: string) => Promise<FixedSource>;
const toClose: (() => unknown)[] = [];
// What people write who take an authorizer for a predicate, or for something that may wait.
const MISTAKEN = [
  () => false,
  () => true,
  () => Promise.reject(new Error('no')),
  () => Promise.resolve(),
] as unknown as readonly (() => void)[];

beforeAll(async () => {
  authority = await testAuthority();
  sourceOf = async (path) => new FixedSource(await authority.issue(path), authority.bundles);
});
afterEach(() => {
  for (const close of toClose.splice(0)) close();
});

async function serve(app: FetchApp, over: Partial<ServeHonoOptions> = {}) {
  const guarded = serveHono(app, { source: await sourceOf('/orders'), authorize: authorizeAny(), ...over });
  toClose.push(() => guarded.close());
  const port = await listening(guarded);
  const as = async (path: string) => {
    const fetch = createFetch({
      source: await sourceOf(path),
      authorize: authorizeId(authority.id('/orders')),
    });
    toClose.push(() => fetch.close());
    return (to: string, init?: RequestInit) => fetch(`https://127.0.0.1:${port}${to}`, init);
  };
  return { port, as };
}

describe('spiffePeer', () => {
  it('gives handlers the caller, and keeps out whom a route does not accept', async () => {
    const app = new Hono<{ Variables: PeerVariables }>();
    app.use(spiffePeer());
    app.get('/', (c) => c.text(`${c.var.spiffeId} ${c.var.spiffePeer.serial.length > 0}`));
    app.get('/admin', spiffePeer({ authorize: authorizeId(authority.id('/admin')) }), (c) => c.text('ok'));
    const { as } = await serve(app);
    const [web, admin] = [await as('/web'), await as('/admin')];
    expect(await (await web('/')).text()).toBe(`${authority.id('/web')} true`);
    expect((await web('/admin')).status).toBe(403);
    expect((await admin('/admin')).status).toBe(200);
  });

  it('an authorizer that returns its verdict, now or later, lets nobody in', async () => {
    const peer = { id: authority.id('/web') } as never;
    for (const authorize of MISTAKEN) {
      const app = new Hono().use(spiffePeer({ peer: () => peer, authorize })).get('/', (c) => c.text('ok'));
      expect((await app.onError((_, c) => c.text('', 500)).request('/')).status).toBe(500);
    }
  });

  it('answers 401 where nobody proved anything', async () => {
    const app = new Hono().use(spiffePeer()).get('/', (c) => c.text('ok'));
    expect((await app.request('/')).status).toBe(401);
    expect((await app.request('/', {}, { incoming: { socket: {} } })).status).toBe(401);
  });

  it('takes the peer from wherever it is told', async () => {
    const app = new Hono<{ Variables: PeerVariables }>();
    const peer = { id: authority.id('/web') } as never;
    app.use(spiffePeer({ peer: () => peer })).get('/', (c) => c.text(c.var.spiffeId));
    expect(await (await app.request('/')).text()).toBe(authority.id('/web'));
  });
});

describe('bearerJwtSvid', () => {
  const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issue = createJwtSvidIssuer(localSigner('k1', keys.privateKey));
  const bundles = jwtBundleSet([
    { trustDomain: parseTrustDomain('example.org'), jwtAuthorities: new Map([['k1', keys.publicKey]]) },
  ]);
  const token = (audience = 'orders') =>
    issue({ id: authority.id('/web'), audience: [audience], expiresAt: Date.now() + 60_000 });
  const validate = (text: string) => validateJwtSvid(text, bundles, { audience: 'orders' });
  const appFor = (authorize: (id: SpiffeId) => void) =>
    new Hono()
      .use(bearerJwtSvid({ validate, authorize }))
      .get('/', (c) => c.text((c.var as { spiffeId: string }).spiffeId));
  const ask = (app: ReturnType<typeof appFor>, authorization: string | undefined) =>
    app.request('/', { headers: authorization === undefined ? {} : { authorization } });

  it('admits a valid token and names its subject', async () => {
    for (const scheme of ['Bearer', 'bearer']) {
      const response = await ask(appFor(authorizeMemberOf('example.org')), `${scheme} ${await token()}`);
      expect([response.status, await response.text()]).toEqual([200, 'spiffe://example.org/web']);
    }
  });

  it('refuses everything else with a challenge, and does not say why', async () => {
    const good = await token();
    const refused = [
      `Bearer ${await token('payments')}`,
      `Bearer ${good.slice(0, -2)}AA`,
      'Bearer bad',
      `Bearer ${good}, Bearer ${good}`,
      `Basic ${good}`,
      'Bearer',
      undefined,
    ];
    for (const authorization of refused) {
      const response = await ask(appFor(authorizeMemberOf('example.org')), authorization);
      expect(response.status, authorization).toBe(401);
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
      expect(await response.text()).toBe('Unauthorized');
    }
  });

  it('an authorizer that returns its verdict, now or later, lets nobody in', async () => {
    for (const authorize of MISTAKEN) {
      const app = appFor(authorize).onError((_, c) => c.text('', 500));
      expect((await ask(app, `Bearer ${await token()}`)).status).toBe(500);
    }
  });

  it('a valid token of somebody else is refused', async () => {
    const response = await ask(appFor(authorizeId('spiffe://example.org/other')), `Bearer ${await token()}`);
    expect(response.status).toBe(403);
    expect(() => bearerJwtSvid({ validate } as never)).toThrow(TypeError);
  });
});

describe('serveHono', () => {
  it('carries requests and answers as they are', async () => {
    const app = new Hono();
    app.post('/echo', async (c) => {
      c.header('set-cookie', 'a=1');
      c.header('set-cookie', 'b=2', { append: true });
      return c.text(`${c.req.url} ${await c.req.text()}`, 201);
    });
    app.get('/empty', (c) => c.body(null, 204));
    app.get('/stream', (c) => c.body(new Blob(['a', 'b'.repeat(300_000)]).stream()));
    const { as, port } = await serve(app);
    const web = await as('/web');
    const echo = await web('/echo?x=1', { method: 'POST', body: 'hello' });
    expect([echo.status, await echo.text()]).toEqual([201, `https://127.0.0.1:${port}/echo?x=1 hello`]);
    expect(echo.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect((await web('/empty')).status).toBe(204);
    expect((await (await web('/stream')).text()).length).toBe(300_001);
    expect(await (await web('/stream', { method: 'HEAD' })).text()).toBe('');
  });

  it('answers 500 and tells its owner when the app throws', async () => {
    const errors: unknown[] = [];
    const broken = { fetch: () => Promise.reject(new Error('secret cause')) };
    const { as } = await serve(broken, { onError: (error) => errors.push(error) });
    const response = await (await as('/web'))('/');
    expect([response.status, await response.text()]).toEqual([500, 'Internal Server Error']);
    expect(String(errors)).toContain('secret cause');
  });

  it.each([
    ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
    ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'],
    ['a bad Host', 'GET / HTTP/1.1\r\nHost: a b\r\n\r\n'],
    ['a user in Host', 'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n'],
    ['no path', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['an absolute target', 'GET https://b/ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ])('keeps from the app: %s', async (_name, request) => {
    let calls = 0;
    const { port } = await serve({ fetch: () => (calls++, new Response('no')) });
    const socket = await connectTls({
      target: { host: '127.0.0.1', port },
      source: await sourceOf('/web'),
      authorize: authorizeAny(),
    });
    socket.write(request);
    const [answer] = (await once(socket, 'data')) as [Uint8Array];
    expect(String(answer)).toMatch(/^HTTP\/1.1 400 /);
    expect(calls).toBe(0);
    socket.destroy();
  });
});
