// Starts the mesh: server, agent, services, proxies, in the order in which they need each other and no slower.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { writePrivateFile } from '../../daemon/files.ts';
import { SocketName } from '../endpoints.ts';
import { PACKAGE_FOLDER, runtimeCommand } from '../runtimes.ts';
import {
  agentConfig,
  bundleFile,
  joinTokenFile,
  proxyConfig,
  serverConfig,
  writeConfig,
} from './config-files.ts';
import { adminJson } from './http.ts';
import { Launcher } from './launcher.ts';
import { logOf, processOf, PROXIES, socketOf, type MeshPlan, type ProxyPlan } from './plan.ts';
import { registerMesh, serverAnswers } from './registration.ts';
import { Supervisor } from './supervisor.ts';

const READY_TIMEOUT = 30_000;
const LAUNCH_DESCRIPTOR = 3;

/** What a proxy says of itself. */
export interface ProxyIdentity {
  readonly id: string;
  readonly serial: string;
  readonly not_before: string;
  readonly not_after: string;
  readonly runtime: string;
  readonly pid: number;
}

export class Mesh {
  readonly plan: MeshPlan;
  readonly supervisor: Supervisor;
  readonly #launcher = new Launcher();

  constructor(plan: MeshPlan, note: (text: string) => void) {
    this.plan = plan;
    this.supervisor = new Supervisor({ logOf: (name) => logOf(plan, name), note });
  }

  /** Starts everything; returns when every proxy has its identity. `step` is told what is being waited for. */
  async start(step: (text: string) => void): Promise<void> {
    step('starting the identity server');
    await this.#startServer();
    // Services need nobody; they come up while the server does.
    await Promise.all(PROXIES.map(({ name }) => this.#startService(name)));
    await this.supervisor.ready('identity-server', () => serverAnswers(this.plan), READY_TIMEOUT);
    step('registering the workloads');
    const { joinToken, bundle } = await registerMesh(this.plan);
    await writePrivateFile(joinTokenFile(this.plan), `${joinToken}\n`);
    await writePrivateFile(bundleFile(this.plan), bundle);
    step('attesting the agent');
    await this.#startAgent();
    await Promise.all(PROXIES.map((proxy) => this.startProxy(proxy)));
    step('waiting for the identities');
    await Promise.all(PROXIES.map((proxy) => this.proxyReady(proxy)));
    // It was good once, and is used up.
    await rm(joinTokenFile(this.plan), { force: true });
  }

  /** Starts a proxy under its name. */
  async startProxy(proxy: ProxyPlan): Promise<void> {
    const file = await writeConfig(this.plan, `${proxy.name}-proxy`, proxyConfig(this.plan, proxy));
    const command = runtimeCommand(proxy.runtime, 'edge-proxy/main.ts', [
      '--config',
      file,
      '--exit-with-parent',
    ]);
    await this.supervisor.start(processOf(proxy), (log) => this.#launcher.launch(proxy.name, command, log));
  }

  /** Waits until a proxy has its SVID and its listeners. */
  async proxyReady(proxy: ProxyPlan): Promise<void> {
    const admin = socketOf(this.plan, `${proxy.name}-admin`);
    await this.supervisor.ready(
      processOf(proxy),
      async () => existsSync(admin) && (await adminJson(admin, '/ready')) !== undefined,
      READY_TIMEOUT,
    );
  }

  async stopProxy(proxy: ProxyPlan): Promise<void> {
    await this.supervisor.stop(processOf(proxy));
  }

  /** The identity that a proxy holds now, or undefined if it does not answer. */
  identityOf(proxy: ProxyPlan): Promise<ProxyIdentity | undefined> {
    return adminJson<ProxyIdentity>(socketOf(this.plan, `${proxy.name}-admin`), '/identity');
  }

  /** Ends every process and removes every socket. */
  async stop(): Promise<void> {
    // First: nobody waits for an agent that is being ended.
    this.#launcher.close();
    await this.supervisor.stopAll();
    await rm(this.plan.run, { recursive: true, force: true });
  }

  async #startServer(): Promise<void> {
    const file = await writeConfig(this.plan, 'identity-server', serverConfig(this.plan));
    const command = runtimeCommand('node', 'identity-server/main.ts', [
      '--config',
      file,
      '--exit-with-parent',
    ]);
    await this.supervisor.start('identity-server', async (log) => spawnPlain(command, {}, log));
  }

  async #startService(name: ProxyPlan['name']): Promise<void> {
    const command = runtimeCommand('node', `deploy/examples/shop/${name}.ts`, []);
    const environment = {
      LISTEN: name === 'web' ? `127.0.0.1:${this.plan.ports.web}` : socketOf(this.plan, name),
      ORDERS: socketOf(this.plan, `${name}-to-orders`),
      PAYMENTS: socketOf(this.plan, `${name}-to-payments`),
    };
    await this.supervisor.start(name, async (log) => {
      // A service that was killed leaves its socket file; it is a plain program and does not know.
      if (name !== 'web') await rm(socketOf(this.plan, name), { force: true });
      return spawnPlain(command, environment, log);
    });
  }

  // The agent inherits one end of a socket pair: whoever holds the other names processes, and nobody else does.
  async #startAgent(): Promise<void> {
    const file = await writeConfig(this.plan, 'workload-agent', agentConfig(this.plan));
    const command = runtimeCommand('node', 'workload-agent/main.ts', [
      '--config',
      file,
      '--exit-with-parent',
      '--launch-fd',
      String(LAUNCH_DESCRIPTOR),
    ]);
    await this.supervisor.start('workload-agent', async (log) => {
      const child = spawn(command[0], command.slice(1), {
        stdio: ['pipe', 'ignore', log, 'pipe'],
        cwd: PACKAGE_FOLDER,
        detached: true,
      });
      const pair = child.stdio[LAUNCH_DESCRIPTOR] as Duplex;
      pair.on('error', () => {}); // The agent's end is watched by its exit.
      this.#launcher.attach(pair);
      return child;
    });
    await this.supervisor.ready(
      'workload-agent',
      async () => existsSync(join(this.plan.run, SocketName.workloadApi)),
      READY_TIMEOUT,
    );
  }
}

// Detached: Ctrl-C on the terminal reaches `svid up` alone, which then ends them in its own order. Standard input is
// the line on which they notice our end, however it comes.
function spawnPlain(
  command: readonly string[],
  environment: Record<string, string>,
  log: number,
): ChildProcess {
  return spawn(command[0]!, command.slice(1), {
    stdio: ['pipe', 'ignore', log],
    env: { ...process.env, ...environment },
    cwd: PACKAGE_FOLDER,
    detached: true,
  });
}
