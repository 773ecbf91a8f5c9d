// The guide `own-mesh.md`, run as it is written; and what `openssl` says of the SVID that comes out.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { choosePorts } from '../../cli/up/ports.ts';
import { Guide, readGuide } from '../support/guide.ts';
import { run } from '../support/programs.ts';

let guide: Guide;
let outputs: string;
let token: string;
beforeAll(async () => {
  const { server } = await choosePorts([]);
  guide = await Guide.open((text) => text.replaceAll('127.0.0.1:8081', `127.0.0.1:${server}`));
  outputs = '';
  for (const block of await readGuide('own-mesh.md')) {
    const output = await guide.step(block);
    if (block.text.includes('svid token create'))
      token = readFileSync(join(guide.folder, 'join-token'), 'utf8').trim();
    outputs += output;
  }
}, 60_000);
afterAll(() => guide.close());

const sh = (script: string) =>
  run([
    '/bin/sh',
    '-ec',
    `cd '${guide.folder}'\nPATH="${guide.bin}:$PATH"\nexport SIGIL_SERVER_SOCKET="$PWD/server/api.sock"\n${script}`,
  ]);

describe('the guide to a mesh of your own', () => {
  it('X509-01 to X509-19: ends with an SVID as the standard wants it', () => {
    const text = outputs.slice(outputs.indexOf('Certificate:'));
    expect(text).toMatch(/Version: 3/);
    expect(text).toMatch(/X509v3 Subject Alternative Name: *\n +URI:spiffe:\/\/example\.org\/me\n/);
    expect(text).toMatch(
      /X509v3 Key Usage: critical\n +Digital Signature, Key Encipherment, Key Agreement\n/,
    );
    expect(text).toMatch(
      /X509v3 Extended Key Usage: *\n +TLS Web Server Authentication, TLS Web Client Authentication\n/,
    );
    expect(text).toMatch(/X509v3 Basic Constraints: critical\n +CA:FALSE\n/);
    expect(outputs).toMatch(/svid\.pem: OK/);
  });

  it('shows the token nowhere: not in listings, logs, arguments or the database', async () => {
    expect(token).toMatch(/^[0-9a-f-]{36}$/);
    expect(outputs).not.toContain(token);
    const listings = await sh(
      'svid agent list; svid agent list -o json; svid entry list; svid entry list -o json',
    );
    expect(listings.stdout).toContain('/spire/agent/join_token/');
    expect(listings.stdout + listings.stderr).not.toContain(token);
    const arguments_ = await sh('cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " "');
    expect(arguments_.stdout).not.toContain(token);
    const found = await sh(`grep -rl '${token}' server agent || true`);
    expect(found.stdout).toBe('');
  });

  it('refuses a token that was used, and says so', async () => {
    await sh(
      'mkdir -p second && sed "s|./agent|./second|; s|./agent.sock|./second.sock|" workload-agent.yaml > second.yaml',
    );
    const { stderr } = await sh('timeout 3 svid agent --config second.yaml || true');
    expect(stderr).toContain('join token does not exist or has already been used');
    expect(stderr).not.toContain(token);
  });
});
