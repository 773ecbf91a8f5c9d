// The federation client (SPIFFE_Federation.md), by requirement and by vector, against real TLS servers on loopback.
import { createServer, type Server } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseSpiffeBundle } from '../../sdk/bundle/parse-bundle.ts';
import { serializeSpiffeBundle } from '../../sdk/bundle/serialize-bundle.ts';
import { spiffeBundleSet, type SpiffeBundle } from '../../sdk/bundle/spiffe-bundle.ts';
import type { SpiffeErrorCode } from '../../sdk/error.ts';
import { chooseBundle } from '../../sdk/federation/choose-bundle.ts';
import { parseEndpointUrl, redirectTarget } from '../../sdk/federation/endpoint-url.ts';
import {
  FederatedBundleSource,
  type FederatedBundleSourceOptions,
  type FederationEvent,
} from '../../sdk/federation/federated-bundle-source.ts';
import { fetchBundle, type FetchBundleOptions } from '../../sdk/federation/fetch-bundle.ts';
import { parseRelationship, type FederationRelationship } from '../../sdk/federation/relationship.ts';
import { DEFAULT_REFRESH_SECONDS, nextRefresh } from '../../sdk/federation/schedule.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import { verifyX509Svid } from '../../sdk/x509-svid/verify.ts';
import { testAuthority, type TestAuthority } from '../support/authority.ts';
import {
  closeEndpoints,
  redirectTo,
  startEndpoint,
  statusOf,
  type Answer,
  type Endpoint,
} from './federation-endpoint.ts';

const partner = parseTrustDomain('partner.org');
const ENDPOINT_ID = 'spiffe://partner.org/bundle-endpoint';
let web: TestAuthority; // stands for a public CA
let foreign: TestAuthority; // the partner's own authority
let webAuthorities: string[];
let endpoints: { web: Endpoint; spiffe: Endpoint; other: Endpoint };
const plain: Server[] = [];

beforeAll(async () => {
  [web, foreign] = await Promise.all([testAuthority('web-ca.org'), testAuthority('partner.org')]);
  webAuthorities = [pemOf('CERTIFICATE', [web.certificate.der])];
  const named = await web.issue('/host', { dnsNames: ['localhost'] });
  endpoints = {
    web: await startEndpoint(named, ''),
    spiffe: await startEndpoint(await foreign.issue('/bundle-endpoint'), ''),
    other: await startEndpoint(await foreign.issue('/somebody-else'), ''),
  };
});
afterAll(() => {
  closeEndpoints();
  for (const server of plain) server.close();
});

function bundleOf(authority: TestAuthority, over: Partial<SpiffeBundle> = {}): SpiffeBundle {
  const parts = { jwtAuthorities: new Map(), witAuthorities: new Map() };
  return { trustDomain: partner, x509Authorities: [authority.certificate], ...parts, ...over };
}
const textOf = (over: Partial<SpiffeBundle> = {}) => serializeSpiffeBundle(bundleOf(foreign, over));

const overWeb = (url = endpoints.web.url): FederationRelationship => ({
  trustDomain: partner,
  url,
  profile: 'https_web',
});
const overSpiffe = (url = endpoints.spiffe.url): FederationRelationship =>
  parseRelationship({ trustDomain: partner, url, profile: 'https_spiffe', endpointId: ENDPOINT_ID });

const get = (relationship: FederationRelationship, options: FetchBundleOptions = {}) =>
  fetchBundle(relationship, {
    webAuthorities,
    endpointBundles: spiffeBundleSet([bundleOf(foreign)]),
    ...options,
  });
async function refuses(
  relationship: FederationRelationship,
  code: SpiffeErrorCode = 'ERR_FEDERATION',
  options: FetchBundleOptions = {},
): Promise<void> {
  await expect(get(relationship, options)).rejects.toMatchObject({ name: 'SpiffeError', code });
}
/** Lets an endpoint give an answer for one fetch over `https_web`. */
function answering(answer: Answer): FederationRelationship {
  endpoints.web.answer = answer;
  return overWeb();
}
const good = async (relationship: FederationRelationship) =>
  expect((await get(relationship)).x509Authorities.map(({ serial }) => serial)).toEqual([
    foreign.certificate.serial,
  ]);
const refusesConfig = (input: Parameters<typeof parseRelationship>[0]) =>
  expect(() => parseRelationship(input)).toThrow(expect.objectContaining({ code: 'ERR_FEDERATION' }));

/** A source whose fetches and waits the test decides. */
function scripted(bundles: (SpiffeBundle | Error)[], options: FederatedBundleSourceOptions = {}) {
  const waits: number[] = [];
  const events: FederationEvent[] = [];
  const controller = new AbortController();
  const source = new FederatedBundleSource(overWeb('https://partner.org/'), {
    random: () => 0,
    onEvent: (event) => events.push(event),
    fetch: async () => {
      const next = bundles.shift();
      if (next instanceof Error || next === undefined) throw next ?? new Error('nothing more');
      return next;
    },
    delay: async (milliseconds) => {
      waits.push(milliseconds);
      if (bundles.length === 0) controller.abort();
    },
    ...options,
  });
  const run = async () => source.run(controller.signal);
  return { source, run, waits, events, kinds: () => events.map(({ kind }) => kind) };
}

describe('configuration', () => {
  it('FED-12: URL, profile and trust domain must all be there, and none is inferred', () => {
    const whole = { trustDomain: 'partner.org', url: 'https://partner.org/bundle', profile: 'https_web' };
    expect(parseRelationship(whole)).toEqual(whole);
    for (const missing of ['trustDomain', 'url', 'profile']) {
      refusesConfig({ ...whole, [missing]: undefined });
      refusesConfig({ ...whole, [missing]: '' });
    }
    refusesConfig({ ...whole, profile: 'https' });
    refusesConfig({ ...whole, trustDomain: 'Partner.org' });
  });
  it('FED-14: the URL is https and without userinfo', () => {
    for (const url of [
      'http://partner.org/',
      'https://u:p@partner.org/',
      'https://u@partner.org/',
      'https://@partner.org/',
      'https:partner.org',
      'https:///bundle',
      'https://',
      'https://partner.org/#x',
      ' https://partner.org/',
      'https://partner.org/a\nb',
      'https:\\\\partner.org',
      'ftp://partner.org/',
      'partner.org',
      `https://partner.org/${'a'.repeat(3_000)}`,
    ]) {
      refusesConfig({ trustDomain: 'partner.org', url, profile: 'https_web' });
    }
    expect(parseEndpointUrl('HTTPS://partner.org:8443/b?c=d').host).toBe('partner.org:8443');
  });
  it('FED-15: https_web needs nothing more, and takes no endpoint ID', () => {
    const config = { trustDomain: 'partner.org', url: 'https://partner.org/bundle', profile: 'https_web' };
    expect(parseRelationship(config).profile).toBe('https_web');
    refusesConfig({ ...config, endpointId: ENDPOINT_ID });
  });
  it('FED-25: https_spiffe needs the SPIFFE ID of the endpoint, and a bundle to begin with', async () => {
    const config = { trustDomain: 'partner.org', url: 'https://partner.org/bundle', profile: 'https_spiffe' };
    for (const endpointId of [undefined, '', 'x', 'spiffe://partner.org'])
      refusesConfig({ ...config, endpointId });
    expect(() => new FederatedBundleSource(overSpiffe())).toThrow(TypeError);
    await expect(fetchBundle(overSpiffe())).rejects.toThrow(TypeError);
  });
});

describe('https_web', () => {
  it('FED-10: the client speaks both profiles', async () => {
    endpoints.spiffe.answer = textOf();
    await good(answering(textOf()));
    await good(overSpiffe());
  });
  it('FED-01: a bundle is fetched by GET', async () => {
    endpoints.web.requests.length = 0;
    await good(answering(textOf()));
    expect(endpoints.web.requests).toEqual(['GET /bundle']);
  });
  it('FED-19: the content type does not matter', async () => {
    await good(
      answering((_, response) => {
        response.setHeader('content-type', 'text/plain');
        response.end(textOf());
      }),
    );
  });
  it('FED-22: the certificate is of a trusted CA and names the configured host', async () => {
    endpoints.web.answer = textOf();
    await refuses(overWeb(endpoints.web.url.replace('localhost', '127.0.0.1')));
    const untrusted = [pemOf('CERTIFICATE', [foreign.certificate.der])];
    await refuses(overWeb(), 'ERR_FEDERATION', { webAuthorities: untrusted });
    await refuses(overWeb(), 'ERR_FEDERATION', { webAuthorities: undefined });
  });
  it('FED-20, FED-23: redirects are followed only to what is itself a valid endpoint URL', async () => {
    endpoints.other.answer = textOf();
    for (const location of [
      'http://localhost/',
      'https://u:p@localhost/',
      'https://@localhost/',
      '//u@localhost/',
      'ftp://x/',
    ]) {
      await refuses(answering(redirectTo(location)));
    }
    // The same TLS rules hold at the target: this one has no certificate of the trusted CA.
    await refuses(answering(redirectTo(endpoints.other.url)));
  });
  it('FED-24: a redirect is not remembered, not even a permanent one', async () => {
    const target = await startEndpoint(await web.issue('/second', { dnsNames: ['localhost'] }), textOf());
    for (const status of [301, 308]) {
      endpoints.web.requests.length = 0;
      endpoints.web.answer = redirectTo(target.url, status);
      for (let poll = 0; poll < 2; poll++) await good(overWeb());
      expect(endpoints.web.requests).toHaveLength(2);
    }
    target.close();
  });
  it('FED-35: status 200 is required; body and time are bounded', async () => {
    for (const status of [201, 204, 304, 404, 500, 503]) await refuses(answering(statusOf(status, textOf())));
    await refuses(answering(textOf()), 'ERR_FEDERATION', { maxBytes: 100 });
    await refuses(
      answering(() => {}),
      'ERR_FEDERATION',
      { timeout: 150 },
    );
    const endless: Answer = (_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'.repeat(100_000)), 1);
      response.on('close', () => clearInterval(timer));
    };
    await refuses(answering(endless), 'ERR_FEDERATION', { maxBytes: 1 << 20 });
    const truncated: Answer = (_, response) => {
      response.writeHead(200, { 'content-length': '1000' });
      response.write('{"keys":[]}');
      setTimeout(() => response.destroy(), 20);
    };
    await refuses(answering(truncated));
  });
});

describe('https_spiffe', () => {
  it('FED-29: the endpoint has a valid X509-SVID for exactly the configured ID; the host name does not matter', async () => {
    endpoints.spiffe.answer = endpoints.other.answer = textOf();
    await good(overSpiffe());
    await good(overSpiffe(endpoints.spiffe.url.replace('localhost', '127.0.0.1')));
    endpoints.other.requests.length = 0;
    await refuses(overSpiffe(endpoints.other.url), 'ERR_SVID_UNEXPECTED_ID');
    expect(endpoints.other.requests).toEqual([]);
    const late = { now: () => Date.now() + 3_600_000_000 };
    await refuses(overSpiffe(), 'ERR_SVID_EXPIRED', late);
  });
  it('FED-26: a bundle in SPIFFE bundle format is enough for the first contact', async () => {
    endpoints.spiffe.answer = textOf({ sequence: 5n });
    const initial = parseSpiffeBundle(partner, textOf({ sequence: 1n }));
    const source = new FederatedBundleSource(overSpiffe(), { initial });
    expect((await source.refresh()).kind).toBe('updated');
    expect(source.current()?.sequence).toBe(5n);
  });
  it('FED-27: an endpoint of a third trust domain is authenticated by the bundle of that one, or not at all', async () => {
    const third = await testAuthority('third.org');
    const endpoint = await startEndpoint(await third.issue('/mirror'), textOf());
    const config = {
      trustDomain: partner,
      url: endpoint.url,
      profile: 'https_spiffe',
      endpointId: 'spiffe://third.org/mirror',
    };
    const relationship = parseRelationship(config);
    expect(() => new FederatedBundleSource(relationship, { initial: bundleOf(foreign) })).toThrow(TypeError);
    await refuses(relationship, 'ERR_SVID_NO_BUNDLE');
    expect(endpoint.requests).toEqual([]);
    const source = new FederatedBundleSource(relationship, { endpointBundles: third.bundles });
    expect((await source.refresh()).kind).toBe('updated');
    endpoint.close();
  });
  it('FED-30: later contacts use the latest bundle, through two rotations of the root', async () => {
    const roots = [foreign, await testAuthority('partner.org'), await testAuthority('partner.org')] as const;
    const source = new FederatedBundleSource(overSpiffe(), { initial: bundleOf(foreign) });
    const publish = async (
      serving: TestAuthority,
      authorities: readonly TestAuthority[],
      sequence: bigint,
    ) => {
      const x509Authorities = authorities.map(({ certificate }) => certificate);
      const endpoint = await startEndpoint(
        await serving.issue('/bundle-endpoint'),
        textOf({ x509Authorities, sequence }),
      );
      Object.assign(source.relationship, { url: endpoint.url });
      const event = await source.refresh();
      endpoint.close();
      return event.kind;
    };
    expect(await publish(roots[0], [roots[0], roots[1]], 1n)).toBe('updated');
    expect(await publish(roots[1], [roots[1], roots[2]], 2n)).toBe('updated');
    expect(await publish(roots[2], [roots[2]], 3n)).toBe('updated');
    // The bundle that was configured at first counts no longer.
    expect(await publish(roots[0], [roots[0]], 4n)).toBe('failed');
  });
  it('FED-31: a redirect ends at a server with the same SPIFFE ID', async () => {
    const second = await startEndpoint(await foreign.issue('/bundle-endpoint'), textOf());
    endpoints.spiffe.answer = redirectTo(second.url);
    await good(overSpiffe());
    endpoints.web.answer = endpoints.other.answer = textOf();
    endpoints.spiffe.answer = redirectTo(endpoints.other.url);
    await refuses(overSpiffe(), 'ERR_SVID_UNEXPECTED_ID');
    endpoints.spiffe.answer = redirectTo(endpoints.web.url);
    await refuses(overSpiffe(), 'ERR_SVID_NO_BUNDLE');
    second.close();
  });
});

describe('keeping a bundle fresh', () => {
  it('FED-05: polls come at the hint, and about every five minutes without one', async () => {
    const { run, waits } = scripted([bundleOf(foreign, { refreshHint: 60 }), bundleOf(foreign)]);
    await run();
    expect(waits).toEqual([60_000, 300_000]);
    expect(nextRefresh(60)).toBe(60_000);
  });
  it('TB-16: without a hint, the next poll is after 300 s', () => {
    expect([nextRefresh(undefined), DEFAULT_REFRESH_SECONDS]).toEqual([300_000, 300]);
    expect(() => nextRefresh(1, { min: 0 })).toThrow(TypeError);
    expect(() => nextRefresh(1, { min: 100, max: 10 })).toThrow(TypeError);
    expect(nextRefresh(1, { min: 5 })).toBe(5_000);
  });
  it('FED-06: a persisted bundle is in effect before the first contact', async () => {
    const stored = serializeSpiffeBundle(bundleOf(foreign, { sequence: 3n }));
    const { source, run } = scripted([new Error('offline')], { initial: parseSpiffeBundle(partner, stored) });
    await run();
    const { certificates } = await foreign.issue('/web');
    expect(verifyX509Svid(certificates, source).id).toBe('spiffe://partner.org/web');
  });
  it('FED-07: a lower sequence than the stored one is not taken over; without sequence the last fetched is', async () => {
    const newer = bundleOf(foreign, { sequence: 2n ** 63n + 1n });
    const older = bundleOf(web, { sequence: 2n ** 63n });
    const { source, run, kinds } = scripted([newer, older]);
    await run();
    expect(kinds()).toEqual(['updated', 'kept']);
    expect(source.current()).toBe(newer);
    expect(chooseBundle(newer, bundleOf(web))).toBe('updated');
    expect(chooseBundle(bundleOf(foreign), older)).toBe('updated');
  });
  it('FED-08: an operator may put a bundle in effect until the next poll', async () => {
    const { source, run } = scripted([bundleOf(foreign, { sequence: 2n })]);
    source.set(bundleOf(web, { sequence: 1n }));
    expect(source.current()?.x509Authorities).toEqual([web.certificate]);
    await run();
    expect(source.current()?.x509Authorities).toEqual([foreign.certificate]);
  });
  it('FED-09: bundles of two trust domains are never mixed', () => {
    const { source } = scripted([]);
    const other = { ...bundleOf(web), trustDomain: parseTrustDomain('other.org') };
    expect(() => source.set(other)).toThrow(TypeError);
    const set = spiffeBundleSet([bundleOf(foreign), bundleOf(web)]);
    expect(set.x509Bundle(partner)?.authorities).toEqual([web.certificate]);
  });
  it('FED-13: every bundle carries its trust domain', async () => {
    expect((await get(answering(textOf()))).trustDomain).toBe(partner);
    const { source } = scripted([], { initial: bundleOf(foreign) });
    for (const bundle of [source.x509Bundle(partner), source.jwtBundle(partner), source.witBundle(partner)]) {
      expect(bundle?.trustDomain).toBe(partner);
    }
  });
  it('FED-32: after a failure the next attempt is at the next regular poll', async () => {
    const first = bundleOf(foreign, { refreshHint: 120 });
    const { run, waits, kinds, source } = scripted([new Error('down'), first, new Error('down')]);
    await run();
    expect(kinds()).toEqual(['failed', 'updated', 'failed']);
    expect(waits).toEqual([300_000, 120_000, 120_000]);
    expect(source.current()).toBe(first);
  });
  it('FED-33: a relationship is one-way: it says nothing about trust in the other direction', async () => {
    const { source } = scripted([], { initial: bundleOf(foreign) });
    const [theirs, ours] = [await foreign.issue('/web'), await web.issue('/web')];
    expect(verifyX509Svid(theirs.certificates, source).id).toBe('spiffe://partner.org/web');
    expect(() => verifyX509Svid(ours.certificates, source)).toThrow(/no bundle/);
  });
  it('FED-34: the end of a relationship stops the polls, and its peers are refused', async () => {
    const { source, run, waits } = scripted([bundleOf(foreign), bundleOf(foreign)]);
    let updates = 0;
    source.onUpdate(() => updates++);
    await source.refresh();
    source.end();
    await run();
    expect([waits.length, updates, source.current()]).toEqual([0, 2, undefined]);
    const { certificates } = await foreign.issue('/web');
    expect(() => verifyX509Svid(certificates, source)).toThrow(
      expect.objectContaining({ code: 'ERR_SVID_NO_BUNDLE' }),
    );
    expect((await source.refresh()).kind).toBe('failed');
  });
  it('FED-36: each poll is told of, with URL, trust domain and result', async () => {
    const { run, events } = scripted([bundleOf(foreign), bundleOf(foreign), new Error('down')]);
    await run();
    const seen = events.map(({ kind, url, trustDomain }) => `${kind} ${trustDomain} ${url}`);
    const tail = 'partner.org https://partner.org/';
    expect(seen).toEqual([`updated ${tail}`, `unchanged ${tail}`, `failed ${tail}`]);
  });
  it('TB-11: an empty bundle that was fetched revokes the stored one', async () => {
    const { source, run } = scripted([bundleOf(foreign), bundleOf(foreign, { x509Authorities: [] })]);
    await run();
    const { certificates } = await foreign.issue('/web');
    expect(() => verifyX509Svid(certificates, source)).toThrow(/no bundle/);
  });
});

describe('vectors 11.7', () => {
  it('F01: https_web, trusted CA, 200', () => good(answering(textOf())));
  it('F02: content type text/plain', async () => {
    await good(
      answering((_, response) => response.writeHead(200, { 'content-type': 'text/plain' }).end(textOf())),
    );
  });
  it('F03: 404 and 500 with a bundle in the body', async () => {
    for (const status of [404, 500]) await refuses(answering(statusOf(status, textOf())));
  });
  it('F04: 204, empty body', async () => {
    await refuses(answering(statusOf(204, '')));
    await refuses(answering(statusOf(200, '')), 'ERR_BUNDLE');
  });
  it('F05: redirect to another https URL', async () => {
    const target = await startEndpoint(await web.issue('/second', { dnsNames: ['localhost'] }), textOf());
    for (const status of [301, 302, 303, 307, 308]) await good(answering(redirectTo(target.url, status)));
    target.close();
    expect(redirectTarget(new URL('https://a/b/c'), '../d?e').href).toBe('https://a/d?e');
  });
  it('F06: redirect to http://', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
    plain.push(server);
    let connections = 0;
    server.on('connection', () => connections++);
    await once(server, 'listening');
    await refuses(answering(redirectTo(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)));
    expect(connections).toBe(0);
  });
  it('F07: redirect with userinfo', () => refuses(answering(redirectTo('https://u:p@localhost/'))));
  it('F08: redirect loop', async () => {
    endpoints.web.requests.length = 0;
    await refuses(answering(redirectTo('/again')));
    expect(endpoints.web.requests).toHaveLength(6);
  });
  it('F09, F10: an http:// URL is refused, with either profile', async () => {
    for (const profile of ['https_web', 'https_spiffe']) {
      refusesConfig({
        trustDomain: 'partner.org',
        url: 'http://localhost/',
        profile,
        endpointId: ENDPOINT_ID,
      });
    }
    await refuses(overWeb('http://localhost/'));
  });
  it('F11: https_spiffe, right ID, no host name in the certificate', async () => {
    endpoints.spiffe.answer = textOf();
    await good(overSpiffe());
  });
  it('F12: https_spiffe, another ID of the same trust domain', async () => {
    endpoints.other.answer = textOf();
    await refuses(overSpiffe(endpoints.other.url), 'ERR_SVID_UNEXPECTED_ID');
  });
  it('F13: https_spiffe redirected to a Web-PKI server', async () => {
    endpoints.web.answer = textOf();
    endpoints.spiffe.answer = redirectTo(endpoints.web.url);
    await refuses(overSpiffe(), 'ERR_SVID_NO_BUNDLE');
  });
  it('F14: https_spiffe at a Web-PKI server, and the reverse', async () => {
    endpoints.spiffe.answer = endpoints.web.answer = textOf();
    await refuses(overSpiffe(endpoints.web.url), 'ERR_SVID_NO_BUNDLE');
    await refuses(overWeb(endpoints.spiffe.url));
  });
  it('F15: both ways to authenticate', () => {
    refusesConfig({ trustDomain: partner, url: 'https://x/', profile: 'https_web', endpointId: ENDPOINT_ID });
  });
  it('F16: an unchanged bundle is no update', async () => {
    const { source, run, kinds } = scripted([bundleOf(foreign), bundleOf(foreign)]);
    let updates = 0;
    source.onUpdate(() => updates++);
    await run();
    expect([kinds(), updates]).toEqual([['updated', 'unchanged'], 1]);
  });
  it('F17: the interval is the hint, else five minutes', () => {
    expect([nextRefresh(90), nextRefresh(undefined)]).toEqual([90_000, 300_000]);
  });
});

describe('ends', () => {
  it('FED-35: a fetch ends when its signal aborts, and when nobody answers', async () => {
    const controller = new AbortController();
    const pending = get(
      answering(() => controller.abort()),
      { signal: controller.signal },
    );
    await expect(pending).rejects.toMatchObject({ code: 'ERR_FEDERATION' });
    await refuses(overWeb(), 'ERR_FEDERATION', { signal: AbortSignal.abort() });
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    plain.push(silent);
    await once(silent, 'listening');
    const url = `https://localhost:${(silent.address() as AddressInfo).port}/`;
    await refuses(overWeb(url), 'ERR_FEDERATION', { timeout: 150 });
    const closed = await startEndpoint(await web.issue('/x', { dnsNames: ['localhost'] }), '');
    closed.close();
    await refuses(overWeb(closed.url));
  });
  it('FED-34: run ends when its signal aborts', async () => {
    const source = new FederatedBundleSource(answering(textOf()), { webAuthorities });
    const controller = new AbortController();
    source.onUpdate(() => setTimeout(() => controller.abort(), 5));
    await source.run(controller.signal);
    expect(source.current()?.x509Authorities).toHaveLength(1);
  });
});
