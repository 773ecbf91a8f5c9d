// What bad input gets from the real programs: a clear error, the right exit code, and nothing lost.
import { createServer, type Server } from 'node:net';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runtimeCommand, type Runtime } from '../../cli/runtimes.ts';
import { run, svid, temporaryFolder } from '../support/programs.ts';

let folder: string;
let taken: Server;
let port: number;
beforeAll(async () => {
  folder = await temporaryFolder();
  taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  port = (taken.address() as { port: number }).port;
});
afterAll(() => {
  taken.close();
});

const write = async (name: string, config: unknown): Promise<string> => {
  const file = join(folder, name);
  await writeFile(file, typeof config === 'string' ? config : stringify(config));
  return file;
};

describe('the identity server', () => {
  const start = (file: string) => svid(['server', '--config', file]);

  it('names the place of what is wrong in its configuration', async () => {
    const file = await write('wrong.yaml', 'trust_domain: example.org\ndata_dir: /tmp\nlisten_on: x\n');
    const { code, stderr } = await start(file);
    expect(code).toBe(2);
    expect(stderr).toContain(`${file}:3:1: unknown key "listen_on"`);
  });

  it('names a port in use and the key that sets it', async () => {
    const file = await write('port.yaml', {
      trust_domain: 'example.org',
      data_dir: join(folder, 'port'),
      listen: `127.0.0.1:${port}`,
    });
    const { code, stderr } = await start(file);
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`127\\.0\\.0\\.1:${port} \\(listen\\) is in use`));
  });

  it('names a data folder that cannot be used', async () => {
    await writeFile(join(folder, 'a-file'), '');
    const file = await write('folder.yaml', {
      trust_domain: 'example.org',
      data_dir: join(folder, 'a-file'),
      listen: '127.0.0.1:0',
    });
    const { code, stderr } = await start(file);
    expect(code).toBe(1);
    expect(stderr).toContain(`the data folder ${join(folder, 'a-file')} cannot be used`);
  });

  it.skipIf(process.getuid!() === 0)(
    'names a data folder without permission to write (not as root, who may)',
    async () => {
      const data = join(folder, 'read-only');
      await mkdir(data);
      await chmod(data, 0o500);
      const file = await write('read-only.yaml', {
        trust_domain: 'example.org',
        data_dir: data,
        listen: '127.0.0.1:0',
      });
      const { code, stderr } = await start(file);
      expect(code).toBe(1);
      expect(stderr).toContain(data);
    },
  );
});

describe('the workload agent', () => {
  it('wants exactly one way to trust its server', async () => {
    const file = await write('agent.yaml', {
      trust_domain: 'example.org',
      data_dir: join(folder, 'agent'),
      server: '127.0.0.1:1',
    });
    const { code, stderr } = await svid(['agent', '--config', file]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/trust_bundle_file|insecure_bootstrap/);
  });
});

describe.each<Runtime>(['bun', 'deno', 'node'])('the edge proxy on %s', (runtime) => {
  const start = (file: string) => run(runtimeCommand(runtime, 'edge-proxy/main.ts', ['--config', file]));

  it('names a port in use and the key that sets it', async () => {
    const policy = await readFile(
      join(import.meta.dirname, '../../deploy/examples/shop/orders.policy.yaml'),
      'utf8',
    );
    await write('orders.policy.yaml', policy);
    const file = await write(`proxy-${runtime}.yaml`, {
      workload_api: `unix://${folder}/nobody.sock`,
      inbound: [
        {
          name: 'orders',
          listen: `127.0.0.1:${port}`,
          policy: 'orders.policy.yaml',
          application: '127.0.0.1:1',
        },
      ],
    });
    const { code, stderr } = await start(file);
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`inbound\\.0\\.listen: 127\\.0\\.0\\.1:${port} is in use`));
  });

  it('wants every upstream to name whom it accepts', async () => {
    const file = await write(`accept-${runtime}.yaml`, {
      workload_api: `unix://${folder}/nobody.sock`,
      outbound: [{ name: 'orders', listen: `unix:${folder}/o.sock`, upstream: { address: '127.0.0.1:1' } }],
    });
    const { code, stderr } = await start(file);
    expect(code).toBe(2);
    expect(stderr).toMatch(/accept-.*\.yaml:\d+:\d+: .*accept/);
  });
});
