// What only JwtSource does: tokens are kept by audience, renewed in time, and never an older one is taken.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testAuthority } from '../../test/support/authority.ts';
import { eventually } from '../../test/support/eventually.ts';
import { tokenAuthority } from '../../test/support/token-authority.ts';
import { TestWorkloadApi } from '../../test/support/workload-api.ts';
import { parseSpiffeId } from '../spiffe-id.ts';
import { JwtSource } from './jwt-source.ts';

const tokens = tokenAuthority();
const WEB = parseSpiffeId('spiffe://example.org/web');

describe('JwtSource', () => {
  let api: TestWorkloadApi;
  let source: JwtSource;
  let now: number;
  let fetched: (readonly string[])[];
  let lifetime: number;
  const events: { readonly kind: string }[] = [];

  beforeEach(async () => {
    const path = join(await mkdtemp(join(tmpdir(), 'sigil-test-')), 'api.sock');
    api = new TestWorkloadApi(path, await testAuthority());
    await api.start();
    [now, fetched, lifetime] = [Date.now(), [], 300_000];
    events.length = 0;
    api.pushTo('fetchJWTBundles', { bundles: tokens.jwtBundles });
    api.jwtSvid = async ({ audience = [], spiffeId = '' }) => {
      fetched.push([spiffeId, ...audience]);
      return { svids: [await tokens.jwt({ audience, id: spiffeId || WEB, lifetime, now })] };
    };
    source = await JwtSource.open({
      endpoint: api.endpoint,
      now: () => now,
      onEvent: (event) => events.push(event),
    });
  });
  afterEach(async () => {
    await source.close();
    api.stop();
  });

  it('keeps tokens by audience and ID', async () => {
    const first = await source.svid({ audience: 'a' });
    expect((await source.svid({ audience: ['a'] })).token).toBe(first.token);
    await source.svid({ audience: ['a', 'b'] });
    await source.svid({ audience: 'a', id: WEB });
    expect(fetched).toEqual([
      ['', 'a'],
      ['', 'a', 'b'],
      [WEB, 'a'],
    ]);
    expect(api.headersOf('fetchJWTSVID')).toEqual([['true'], ['true'], ['true']]);
  });

  it('asks once where many ask at the same time', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => source.svid({ audience: 'a' })));
    expect(new Set(all.map(({ token }) => token)).size).toBe(1);
    expect(fetched).toHaveLength(1);
  });

  it('renews in the second half of its life, behind the back of the caller', async () => {
    const first = await source.svid({ audience: 'a' });
    now += 140_000;
    expect((await source.svid({ audience: 'a' })).token).toBe(first.token);
    expect(fetched).toHaveLength(1);
    now += 20_000;
    expect((await source.svid({ audience: 'a' })).token).toBe(first.token);
    await eventually(async () => (await source.svid({ audience: 'a' })).token !== first.token);
    expect(fetched).toHaveLength(2);
  });

  it('waits for a new one where the old one is about to end', async () => {
    const first = await source.svid({ audience: 'a' });
    now = first.expiresAt - 4_000;
    expect((await source.svid({ audience: 'a' })).token).not.toBe(first.token);
  });

  it('keeps a good one while the endpoint is away, and never hands out an expired one', async () => {
    const first = await source.svid({ audience: 'a' });
    api.jwtSvid = () => ({ code: 'UNAVAILABLE', message: 'overloaded' });
    now += 200_000;
    expect((await source.svid({ audience: 'a' })).token).toBe(first.token);
    await eventually(() => events.some(({ kind }) => kind === 'interrupted'));
    now = first.expiresAt + 1;
    await expect(source.svid({ audience: 'a' })).rejects.toMatchObject({ code: 'ERR_WORKLOAD_API' });
    api.jwtSvid = async () => ({ svids: [await tokens.jwt({ lifetime: -10_000, now })] });
    await expect(source.svid({ audience: 'a' })).rejects.toMatchObject({ code: 'ERR_SVID_EXPIRED' });
  });

  it('does not go back to a token that ends earlier', async () => {
    const first = await source.svid({ audience: 'a' });
    now += 200_000;
    lifetime = 60_000;
    await source.svid({ audience: 'a' });
    await eventually(() => fetched.length >= 2);
    expect((await source.svid({ audience: 'a' })).token).toBe(first.token);
  });

  it('forgets a token that was withdrawn', async () => {
    await source.svid({ audience: 'a' });
    api.jwtSvid = () => ({ code: 'PERMISSION_DENIED', message: 'no identity issued' });
    now += 200_000;
    await source.svid({ audience: 'a' });
    await eventually(() => events.some(({ kind }) => kind === 'denied'));
    await expect(source.svid({ audience: 'a' })).rejects.toMatchObject({ code: 'ERR_NO_IDENTITY' });
  });

  it('picks by hint, and says so where there is none', async () => {
    api.jwtSvid = async () => ({
      svids: [await tokens.jwt({ hint: 'x' }), await tokens.jwt({ id: `${WEB}/y`, hint: 'y' })],
    });
    expect((await source.svid({ audience: 'a', hint: 'y' })).id).toBe(`${WEB}/y`);
    await expect(source.svid({ audience: 'a', hint: 'z' })).rejects.toMatchObject({
      code: 'ERR_NO_IDENTITY',
    });
  });

  it('a wait ends with its signal, misuse is a TypeError', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const answer = api.jwtSvid;
    api.jwtSvid = async (request) => {
      await promise;
      return answer(request);
    };
    const controller = new AbortController();
    const patient = source.svid({ audience: 'a' });
    const waiting = source.svid({ audience: 'a', signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    resolve();
    expect((await patient).id).toBe(WEB);
    for (const audience of ['', [], ['a', '']])
      await expect(source.svid({ audience })).rejects.toBeInstanceOf(TypeError);
    await source.close();
    await expect(source.svid({ audience: 'a' })).rejects.toBeInstanceOf(TypeError);
  });
});
