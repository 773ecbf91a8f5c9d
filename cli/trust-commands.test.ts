// svid bundle, authority, federation, the mints and the rest against a real server, as a shell runs them.
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseSpiffeBundle } from '../sdk/bundle/parse-bundle.ts';
import { loadX509Svid } from '../sdk/x509-svid/load-x509-svid.ts';
import { pemOf } from '../sdk/x509-svid/pem.ts';
import { testAuthority } from '../test/support/authority.ts';
import { startCliBench, TIMEOUT, type CliBench } from './testing.ts';

let bench: CliBench;
beforeAll(async () => {
  bench = await startCliBench();
});
afterAll(() => bench[Symbol.asyncDispose]());
const svid: CliBench['svid'] = (args, input) => bench.svid(args, input);
const well: CliBench['well'] = (args, input) => bench.well(args, input);
const json: CliBench['json'] = (args, input) => bench.json(args, input);

test(
  'bundles: in both formats, set, listed, counted and deleted',
  async () => {
    expect(await well(['bundle', 'show'])).toMatch(/^-----BEGIN CERTIFICATE-----/);
    const own = parseSpiffeBundle('example.org', await well(['bundle', 'show', '--format', 'spiffe']));
    expect([own.x509Authorities.length, own.jwtAuthorities.size, own.witAuthorities.size]).toEqual([1, 1, 0]);
    const foreign = pemOf('CERTIFICATE', [(await testAuthority('a.org')).certificate.der]);
    expect((await svid(['bundle', 'set', 'a.org'], foreign)).err).toBe('set the bundle of a.org\n');
    expect(await well(['bundle', 'list', 'a.org'])).toBe(foreign);
    expect(await well(['bundle', 'list'])).toMatch(/^\*{40}\n\* a.org\n\*{40}\n-----BEGIN/);
    expect(await well(['bundle', 'count'])).toBe('2\n');
    expect((await svid(['bundle', 'set', 'a.org'], 'nonsense')).code).toBe(2);
    expect((await svid(['bundle', 'set', 'example.org'], foreign)).code).toBe(1);
    expect((await svid(['bundle', 'delete', 'a.org', '--mode', 'dissociate'])).code).toBe(0);
    expect((await svid(['bundle', 'list', 'a.org'])).code).toBe(3);
  },
  TIMEOUT,
);

test(
  'authorities: each kind by hand',
  async () => {
    for (const kind of ['x509', 'jwt', 'wit']) {
      const first = (await json(['authority', kind, 'show'])).active.authority_id as string;
      expect(await well(['authority', kind, 'show'])).toMatch(
        /^Active:\n {2}Authority ID: .*\n[^]*Prepared:\n {2}none\n/,
      );
      const { prepared_authority } = await json(['authority', kind, 'prepare']);
      const next = prepared_authority.authority_id as string;
      expect(await well(['authority', kind, 'activate', next])).toContain(
        `Activated:\n  Authority ID: ${next}`,
      );
      const untainted = await svid(['authority', kind, 'revoke', first]);
      expect([untainted.code, untainted.err]).toEqual([
        2,
        expect.stringContaining('not possible to revoke an untainted'),
      ]);
      await well(['authority', kind, 'taint', first]);
      expect((await json(['authority', kind, 'revoke', first])).revoked_authority.authority_id).toBe(first);
    }
  },
  TIMEOUT,
);

test(
  'minting: keys are made here, and files are for their owner alone',
  async () => {
    const id = ['--spiffe-id', 'spiffe://example.org/ci'];
    const where = join(bench.folder, 'minted');
    await well(['x509', 'mint', ...id, '--dns-name', 'ci.example', '--ttl', '10m', '--write', where]);
    const files = { certificates: join(where, 'svid.pem'), privateKey: join(where, 'key.pem') };
    expect((await loadX509Svid(files)).id).toBe('spiffe://example.org/ci');
    expect(statSync(files.privateKey).mode & 0o777).toBe(0o600);
    expect(await well(['x509', 'mint', ...id])).toMatch(/^X509-SVID:\n[^]*Private key:\n[^]*Root CAs:\n/);
    expect((await svid(['x509', 'mint', ...id, '--ttl', '1000d'])).err).toContain('the lifetime was cut');

    const token = (await well(['jwt', 'mint', ...id, '--audience', 'db', 'web', '--ttl', '500ms'])).trim();
    expect(decodeJwt(token)).toMatchObject({ sub: 'spiffe://example.org/ci', aud: ['db', 'web'] });
    const file = join(bench.folder, 'token');
    await well(['jwt', 'mint', ...id, '--audience', 'db', '--write', file]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect((await svid(['jwt', 'mint', ...id])).code).toBe(2);
    const wit = await json(['wit', 'mint', ...id, '--key-type', 'ec-p384']);
    expect(wit.private_key).toMatchObject({ kty: 'EC', alg: 'ES384', d: expect.any(String) });
    expect((await svid(['wit', 'mint', ...id, '--signing-algorithm', 'ES123'])).code).toBe(2);
  },
  TIMEOUT,
);

test(
  'federation: relationships from options and from files',
  async () => {
    const web = ['--url', 'https://b.org/bundle', '--profile', 'https_web'];
    expect(await well(['federation', 'create', 'b.org', ...web])).toMatch(
      /Bundle endpoint profile: +https_web/,
    );
    expect((await svid(['federation', 'create', 'b.org', ...web])).code).toBe(1);
    expect(
      (await svid(['federation', 'create', 'c.org', '--url', 'https://c.org', '--profile', 'https_spiffe']))
        .code,
    ).toBe(2);
    const file = join(bench.folder, 'relationships.json');
    const bundle = join(bench.folder, 'c.pem');
    writeFileSync(bundle, pemOf('CERTIFICATE', [(await testAuthority('c.org')).certificate.der]));
    const relationship = {
      trust_domain: 'c.org',
      url: 'https://127.0.0.1:1/bundle',
      profile: 'https_spiffe',
      endpoint_spiffe_id: 'spiffe://c.org/endpoint',
      bundle,
      bundle_format: 'pem',
    };
    writeFileSync(file, JSON.stringify({ relationships: [relationship] }));
    await well(['federation', 'create', '--file', file]);
    expect(await well(['federation', 'show', 'c.org'])).toContain('spiffe://c.org/endpoint');
    expect((await json(['federation', 'list'])).federation_relationships).toHaveLength(2);
    await well(['federation', 'update', 'b.org', '--url', 'https://b.org/two', '--profile', 'https_web']);
    const refused = await svid(['federation', 'refresh', 'c.org']);
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('failed to refresh bundle')]);
    expect((await svid(['federation', 'delete', 'b.org'])).code).toBe(0);
    expect((await svid(['federation', 'show', 'b.org'])).code).toBe(3);
  },
  TIMEOUT,
);

test(
  'health, info, log level, config check',
  async () => {
    expect(await well(['health'])).toBe('Server is healthy.\n');
    expect((await svid(['health', '--socket', join(bench.folder, 'none.sock')])).code).toBe(5);
    expect(await well(['info'])).toMatch(/SVID: +spiffe:\/\/example.org\/spire\/server/);
    expect(await well(['log', 'level', 'warn'])).toMatch(/Level: +warn\nAt the start: +trace/);
    expect((await svid(['log', 'level', 'loud'])).code).toBe(2);
    expect(await well(['log', 'level', 'reset'])).toMatch(/Level: +trace/);
    const file = join(bench.folder, 'identity-server.yaml');
    writeFileSync(file, `trust_domain: example.org\ndata_dir: ${bench.folder}\n`);
    expect((await svid(['config', 'check', file])).code).toBe(0);
    writeFileSync(file, 'trust_domain: Example\nnonsense: 1\n');
    const bad = await svid(['config', 'check', file]);
    expect(bad.code).toBe(2);
    for (const word of ['nonsense', 'data_dir', 'trust_domain']) expect(bad.err).toContain(word);
  },
  TIMEOUT,
);
