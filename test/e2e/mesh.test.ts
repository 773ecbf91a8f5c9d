// A whole mesh of real processes, as a newcomer starts it.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpCall } from '../../cli/up/http.ts';
import { eventually } from '../support/eventually.ts';
import { isRunning, startMesh, svid, type RunningMesh } from '../support/programs.ts';

let mesh: RunningMesh;
beforeAll(async () => {
  mesh = await startMesh();
}, 40_000);
afterAll(async () => {
  await mesh.stop('SIGTERM');
});

const order = () => httpCall({ port: mesh.report.ports.web }, 'GET', '/orders/7');
const charge = () => httpCall({ port: mesh.report.ports.web }, 'POST', '/charge');
const socket = (name: string) => join(mesh.report.sockets, `${name}.sock`);
const logOf = (name: string) => readFileSync(join(mesh.report.logs, `${name}.log`), 'utf8');
const pidOf = (name: string) => mesh.report.processes.find((process) => process.name === name)!.pid;

describe('a mesh from one command', () => {
  it('gives each proxy an identity of its own, on the three runtimes', () => {
    const holders = Object.fromEntries(mesh.report.identities.map(({ id, holder }) => [id, holder]));
    expect(holders['spiffe://shop.example/web']).toMatch(/^web-proxy on Bun /i);
    expect(holders['spiffe://shop.example/orders']).toMatch(/^orders-proxy on Deno /i);
    expect(holders['spiffe://shop.example/payments']).toMatch(/^payments-proxy on Node/i);
    expect(holders['spiffe://shop.example/spire/server']).toBe('identity-server');
    expect(new Set(mesh.report.identities.map(({ serial }) => serial)).size).toBe(5);
  });

  it('allows what the policies allow, refuses the rest, and says who decided', () => {
    expect(mesh.report.calls.map(({ call, status, decidedBy }) => [call, status, decidedBy])).toEqual([
      ['web -> orders', 200, 'orders-proxy, rule web-reads-orders'],
      ['orders -> payments', 200, 'payments-proxy, rule orders-charges'],
      ['web -> payments', 403, 'payments-proxy, default: deny'],
    ]);
  });

  it('refuses with a request id and nothing more; the log says under it who decided', async () => {
    const answer = await httpCall({ socketPath: socket('web-to-payments') }, 'POST', '/charge');
    expect(answer.status).toBe(403);
    expect(answer.requestId).toMatch(/^[0-9a-f-]{16,}$/);
    expect(answer.body).not.toMatch(/default|policy|spiffe/);
    const line = await eventually(() =>
      logOf('payments-proxy')
        .split('\n')
        .find((text) => text.includes(answer.requestId)),
    );
    expect(JSON.parse(line)).toMatchObject({
      peer: 'spiffe://shop.example/web',
      rule: 'default',
      verdict: 'deny',
      path: '/charge',
    });
  });

  it('refuses what a policy does not name, by method and by path', async () => {
    const call = (method: string, path: string) =>
      httpCall({ socketPath: socket('web-to-orders') }, method, path);
    expect((await call('POST', '/orders/7')).status).toBe(403);
    expect((await call('GET', '/orders/7/../../admin')).status).toBe(400);
    expect((await call('GET', '/orders/%2e%2e/admin')).status).toBe(400);
    expect((await call('GET', '/orders//7')).status).toBe(400);
    expect((await call('GET', '/admin')).status).toBe(403);
  });

  it('gives no identity to another process of the same uid', async () => {
    const fetched = await svid(['x509', 'fetch'], { env: mesh.env });
    expect(fetched).toMatchObject({ code: 4, stdout: '' });
    expect(fetched.stderr).toMatch(/no identity for this process/);
    const line = await eventually(() =>
      logOf('workload-agent')
        .split('\n')
        .find((text) => text.includes('no identity issued')),
    );
    expect(line).toContain(`unix:uid:${process.getuid!()}`);
  });

  it('lets no other process give itself a name', async () => {
    const named = await svid(['run', '--as', 'web', '--', 'echo', 'ran'], { env: mesh.env });
    expect(named.code).toBe(4);
    expect(named.stdout).toBe('');
    expect(named.stderr).toMatch(/does not vouch/);
    const workloadApi = await svid(
      ['run', '--as', 'web', '--agent-socket', socket('agent'), '--', 'echo', 'ran'],
      { env: mesh.env },
    );
    expect(workloadApi.code).not.toBe(0);
    expect(workloadApi.stdout).toBe('');
  });

  it('is found by the other commands, without options', async () => {
    const entries = await svid(['entry', 'list', '--output', 'json'], { env: mesh.env });
    expect(entries.code).toBe(0);
    const paths = (JSON.parse(entries.stdout) as { entries: { spiffe_id: { path: string } }[] }).entries.map(
      ({ spiffe_id: { path } }) => path,
    );
    expect(paths).toEqual(expect.arrayContaining(['/impostor', '/orders', '/payments', '/web']));
    expect((await svid(['bundle', 'show'], { env: mesh.env })).stdout).toMatch(
      /^-----BEGIN CERTIFICATE-----/,
    );
    const agents = await svid(['agent', 'list'], { env: mesh.env });
    expect(agents.stdout).toMatch(
      /spiffe:\/\/shop\.example\/spire\/agent\/join_token\/[0-9a-f]{32} +join_token/,
    );
    expect((await svid(['entry', 'show', 'no-such-entry'], { env: mesh.env })).code).toBe(3);
  });

  it('goes on while the agent is dead, and rotates again when it is back', async () => {
    process.kill(pidOf('workload-agent'), 'SIGKILL');
    for (let calls = 0; calls < 20; calls++) {
      expect((await order()).status).toBe(200);
      expect((await charge()).status).toBe(403);
    }
    await eventually(() => logOf('workload-agent').match(/"msg":"ready"/g)?.length === 2, {
      timeout: 15_000,
    });
    expect((await order()).status).toBe(200);
    // The names of the processes that lived on were given again: a new proxy connection gets its SVID.
    process.kill(pidOf('orders-proxy'), 'SIGKILL');
    await eventually(async () => (await order().catch(() => undefined))?.status === 200, { timeout: 15_000 });
  }, 45_000);

  it('goes on while the server is dead; the agent says so and heals when it is back', async () => {
    const before = logOf('workload-agent').length;
    process.kill(pidOf('identity-server'), 'SIGKILL');
    for (let calls = 0; calls < 10; calls++) expect((await order()).status).toBe(200);
    await eventually(() => logOf('identity-server').match(/"msg":"ready"/g)?.length === 2, {
      timeout: 15_000,
    });
    const agents = await svid(['agent', 'list', '--output', 'json'], { env: mesh.env });
    expect((JSON.parse(agents.stdout) as { agents: unknown[] }).agents).toHaveLength(1);
    const healed = () => logOf('workload-agent').slice(before).includes('the server answers again');
    await eventually(healed, { timeout: 15_000, what: 'the agent syncs with the new server' });
  }, 45_000);

  it('keeps keys and tokens out of logs and arguments', () => {
    const text = readdirSync(mesh.report.logs)
      .map((name) => readFileSync(join(mesh.report.logs, name), 'utf8'))
      .join('');
    expect(text).not.toMatch(/PRIVATE KEY/);
    // A PKCS#8 P-256 key in base64 begins so, whatever the key.
    expect(text).not.toMatch(/MIGHAgEAMBMGByqGSM49/);
    for (const { pid } of mesh.report.processes.filter(({ pid }) => isRunning(pid))) {
      expect(readFileSync(`/proc/${pid}/cmdline`, 'latin1')).not.toMatch(/token[=\0][0-9a-f]{8}/);
    }
  });

  it('ends within 3 s of Ctrl-C and leaves no process and no socket', async () => {
    const pids = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(mesh.env['TMPDIR']!);
        } catch {
          return false;
        }
      });
    expect(pids.length).toBeGreaterThanOrEqual(5);
    const { code, took } = await mesh.stop('SIGINT');
    expect(code).toBe(0);
    expect(took).toBeLessThan(3_000);
    expect(pids.filter((pid) => isRunning(Number(pid)))).toEqual([]);
    expect(existsSync(mesh.report.sockets)).toBe(false);
    expect(existsSync(mesh.report.logs)).toBe(true);
  });
});
