// A disk that fills up under a server that runs, or is read-only. It needs the right to mount a small file system.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { failureOf, startTestServer, type TestServer } from '../../identity-server/testing.ts';
import { SVID } from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import { temporaryFolder } from '../support/databases.ts';

function mount(folder: string, ...options: string[]): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', ['size=4m', ...options].join(), 'tmpfs', folder], {
      stdio: 'pipe',
    });
    return true;
  } catch {
    return false;
  }
}

const canMount = (() => {
  const folder = temporaryFolder();
  const mounted = mount(folder);
  if (mounted) execFileSync('umount', [folder]);
  rmSync(folder, { recursive: true });
  return mounted;
})();

describe.skipIf(!canMount)('a disk (skipped without the right to mount)', () => {
  let folder: string;
  let data: string;
  beforeEach(() => {
    folder = temporaryFolder();
    data = join(folder, 'disk');
    mkdirSync(data);
    mount(data);
  });
  afterEach(() => {
    execFileSync('umount', ['-l', data]);
    rmSync(folder, { recursive: true, force: true });
  });
  const start = () =>
    startTestServer({
      folder,
      config: { data_dir: join(data, 'data'), socket_path: join(folder, 'api.sock') },
    });

  // An agent with an entry that it can have signed.
  async function established(server: TestServer) {
    const agent = await server.attest();
    const id = await server.register({ parent: agent.path, path: '/web', selector: 'unix:uid:1' });
    const client = await server.connect(agent);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return async () => {
      const params = [{ entryId: id, csr: createCsr(privateKey) }];
      const { results } = await client.unary(SVID.method.batchNewX509SVID, { params });
      return results[0]!.status!.code;
    };
  }
  const register = (server: TestServer, name: string) =>
    failureOf(
      server.register({
        parent: '/n',
        path: `/${name}`,
        selector: `unix:path:/${'x'.repeat(20_000)}${name}`,
      }),
    );

  test('that is full: writes are refused and say why, signing goes on, room is used at once', async () => {
    await using server = await start();
    const sign = await established(server);
    let failure = 'OK';
    let written = 0;
    for (; failure === 'OK' && written < 500; written++) failure = await register(server, `${written}`);
    expect(failure).toBe('UNAVAILABLE: the database cannot be written: its disk is full');
    expect(await register(server, 'again')).toBe(failure);
    expect(await sign()).toBe(0);
    execFileSync('mount', ['-o', 'remount,size=16m', data]);
    expect(await register(server, 'after')).toBe('OK');
  });

  test('that is read-only from the beginning is named', async () => {
    await (await start())[Symbol.asyncDispose]();
    execFileSync('mount', ['-o', 'remount,ro', data]);
    await expect(start()).rejects.toThrow(
      `the data folder ${join(data, 'data')} cannot be used: EROFS: read-only file system`,
    );
  });
});
