// svid entry and agent against a real server, as a shell runs them: exit codes, standard output and standard error.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Entry } from '../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { startCliBench, TIMEOUT, type CliBench } from './testing.ts';

let bench: CliBench;
beforeAll(async () => {
  bench = await startCliBench();
});
afterAll(() => bench[Symbol.asyncDispose]());
const svid: CliBench['svid'] = (args, input) => bench.svid(args, input);
const well: CliBench['well'] = (args, input) => bench.well(args, input);
const json: CliBench['json'] = (args, input) => bench.json(args, input);

describe('entries', () => {
  test(
    'are created from a file, listed, counted, changed and deleted',
    async () => {
      const file = join(bench.folder, 'entries.yaml');
      writeFileSync(
        file,
        [
          '- spiffe_id: spiffe://example.org/web',
          '  parent_id: spiffe://example.org/node',
          '  selectors: [unix:uid:1, unix:gid:1]',
          '  dns_names: [web.example]',
          '  jwt_svid_ttl: 90s',
          '  jwt_svid_jti: true',
          '- spiffe_id: spiffe://example.org/nested',
          '  parent_id: spiffe://example.org/node',
          '  selectors: [unix:uid:2]',
          '  downstream: true',
        ].join('\n'),
      );
      const { results } = await json(['entry', 'create', '--file', file]);
      const id = results[0].entry.id as string;
      expect(results[0].entry).toMatchObject({
        jwt_svid_ttl: 90,
        additional_attributes: { jwt_svid_include_jti: true },
      });
      const again = await svid(['entry', 'create', '--file', file]);
      expect([again.code, again.err]).toEqual([1, expect.stringContaining('similar entry already exists')]);

      expect(await well(['entry', 'count'])).toBe('2\n');
      expect(await well(['entry', 'count', '--downstream'])).toBe('1\n');
      const any = ['entry', 'list', '--selector', 'unix:uid:1', 'unix:uid:2', '--match-selectors', 'any'];
      expect((await json(any)).entries).toHaveLength(2);
      expect((await svid(['entry', 'list', '--hint', 'none'])).err).toContain('no entry matches');

      const updated = await well([
        'entry',
        'update',
        id,
        '--hint',
        'internal',
        '--no-x509-svid-prefetch',
        '--admin',
      ]);
      expect(updated).toMatch(/Revision: +1\n/);
      // What was not named stayed.
      expect(updated).toMatch(/DNS name: +web.example\n/);
      expect(updated).toMatch(
        /Hint: +internal\nAdmin: +true\nX509-SVID prefetch: +off\nJWT-SVID jti: +true\n/,
      );
      expect(await well(['entry', 'show', id])).toBe(updated.replace(/\n\n$/, '\n'));
      expect((await svid(['entry', 'update', id])).code).toBe(2);
      expect((await svid(['entry', 'update', '--hint', 'x'])).err).toContain('which entry?');
      expect((await svid(['entry', 'show', 'nobody'])).code).toBe(3);
      expect((await svid(['entry', 'delete', 'nobody'])).code).toBe(3);
      const { err } = await svid(['entry', 'delete', '--file', '-'], JSON.stringify({ ids: [id] }));
      expect(err).toBe(`deleted ${id}\n`);
    },
    TIMEOUT,
  );

  test(
    'give nodes names, and say what is missing',
    async () => {
      const node = [
        'entry',
        'create',
        '--spiffe-id',
        'spiffe://example.org/cluster',
        '--selector',
        'x509pop:a:b',
        '--node',
      ];
      expect((await json(node)).results[0].entry.parent_id.path).toBe('/spire/server');
      const missing = await svid(['entry', 'create', '--spiffe-id', 'spiffe://example.org/x']);
      expect([missing.code, missing.err]).toEqual([
        2,
        expect.stringContaining('missing --parent-id, --selector'),
      ]);
      const { code, err } = await svid(
        ['entry', 'create', '--file', '-'],
        '- spiffe_id: spiffe://example.org/x\n',
      );
      expect([code, err]).toEqual([
        2,
        expect.stringContaining('entry 1 of standard input: missing parent_id, selectors'),
      ]);
    },
    TIMEOUT,
  );

  test(
    'hostile text of the server never reaches the terminal raw',
    async () => {
      const hint = '\u001b]0;pwned\u0007\u001b[2J\r\u202eevil';
      await bench.server.local.unary(Entry.method.batchCreateEntry, {
        entries: [
          {
            spiffeId: { trustDomain: 'example.org', path: '/evil' },
            parentId: { trustDomain: 'example.org', path: '/node' },
            selectors: [{ type: 'unix', value: 'path:\u001b[31m' }],
            hint,
          },
        ],
      });
      const filter = ['entry', 'list', '--spiffe-id', 'spiffe://example.org/evil'];
      for (const output of ['pretty', 'json']) {
        const { out } = await svid([...filter, '--output', output]);
        expect(out).toContain('pwned');
        // oxlint-disable-next-line no-control-regex
        expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
      }
    },
    TIMEOUT,
  );
});

test(
  'agents: listed, counted, shown, banned, evicted and purged',
  async () => {
    const agent = await bench.server.attest();
    const id = `spiffe://example.org${agent.path}`;
    expect((await json(['agent', 'list', '--attestation-type', 'join_token'])).agents).toHaveLength(1);
    expect(await well(['agent', 'count', '--banned', 'true'])).toBe('0\n');
    expect(await well(['agent', 'show', id])).toMatch(/Attestation type: +join_token/);
    const soon = new Date(Date.now() + 60_000).toISOString();
    expect(await well(['agent', 'count', '--expires-before', soon])).toBe('0\n');
    expect((await svid(['agent', 'count', '--expires-before', 'soon'])).code).toBe(2);
    expect((await svid(['agent', 'ban', id])).err).toContain('banned');
    expect(await well(['agent', 'list'])).toContain('banned');
    expect((await json(['agent', 'purge', '--expired-for', '1s', '--dry-run'])).expired_agents).toEqual([]);
    expect((await svid(['agent', 'evict', id])).code).toBe(0);
    expect((await svid(['agent', 'evict', id])).code).toBe(3);
  },
  TIMEOUT,
);
