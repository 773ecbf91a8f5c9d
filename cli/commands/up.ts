// svid up [--check]: a whole mesh on this machine.
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { makePrivateFolder } from '../../daemon/files.ts';
import { CliError } from '../errors.ts';
import { note, print, printJson, type OutputFormat } from '../output.ts';
import { clearCurrentMesh, makeRuntimeRoot, setCurrentMesh } from '../runtime-folder.ts';
import { makeCalls } from '../up/calls.ts';
import { checkMesh } from '../up/check.ts';
import { LiveLine } from '../up/live-line.ts';
import { Mesh } from '../up/mesh.ts';
import { TRUST_DOMAIN, type MeshPlan } from '../up/plan.ts';
import { choosePorts } from '../up/ports.ts';
import { callsText, checksText, identitiesOf, identitiesText, nextSteps, styleFor } from '../up/report.ts';

interface UpOptions {
  readonly check?: boolean;
  readonly dataDir?: string;
  readonly port?: string[];
  readonly output: OutputFormat;
}

const KEPT_RUNS = 5;

export async function up(options: UpOptions): Promise<void> {
  if (process.platform !== 'linux') {
    throw new CliError('Sigil runs on Linux: attestation stands on what its kernel says about a process', {
      hint: 'in a virtual machine or a container of this system it works; the SDK runs anywhere',
    });
  }
  const started = performance.now();
  const plan = await preparePlan(options);
  const stopping = stopSignal();
  const live = new LiveLine(options.output === 'pretty');
  const mesh = new Mesh(plan, (text) => live.note(text));
  // Whatever is stopped while it starts is stopped all the same.
  const interrupted = new Promise<never>((_, reject) => {
    stopping.addEventListener('abort', () => reject(new Interrupted()), { once: true });
  });
  interrupted.catch(() => {});
  const starting = mesh.start((text) => {
    if (!stopping.aborted) live.show(text);
  });
  const settled = starting.catch(() => {});
  try {
    await Promise.race([starting, interrupted]);
    setCurrentMesh(runFolder(plan));
    const seconds = (performance.now() - started) / 1_000;
    await Promise.race([report(mesh, options, seconds, live), interrupted]);
    if (options.check) await Promise.race([check(mesh, options, live), interrupted]);
    else await untilStopped(mesh, live, stopping);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
  } finally {
    live.show('stopping');
    await mesh.stop();
    await settled; // What is still being started may write files until then.
    live.clear();
    clearCurrentMesh(runFolder(plan));
    cleanUp(plan, options);
  }
  if (options.output === 'pretty' && !options.check) note(`stopped; the logs are in ${plan.logs}`);
}

class Interrupted extends Error {}

async function preparePlan(options: UpOptions): Promise<MeshPlan> {
  const root = makeRuntimeRoot();
  // What can be wrong with the options is found before there is a folder to leave behind.
  const ports = await choosePorts(options.port ?? []);
  if (options.dataDir !== undefined) await makePrivateFolder(resolve(options.dataDir));
  const folder = mkdtempSync(
    join(root, `${new Date().toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}-`),
  );
  const data = options.dataDir === undefined ? folder : resolve(options.dataDir);
  const plan = {
    ports,
    data,
    logs: join(data, 'logs'),
    run: join(folder, 'run'),
  };
  mkdirSync(plan.logs, { recursive: true, mode: 0o700 });
  mkdirSync(plan.run, { mode: 0o700 });
  return plan;
}

function runFolder(plan: MeshPlan): string {
  return resolve(plan.run, '..');
}

async function report(mesh: Mesh, options: UpOptions, seconds: number, live: LiveLine): Promise<void> {
  const calls = await makeCalls(mesh.plan);
  const identities = await identitiesOf(mesh);
  live.clear();
  if (options.output === 'json') {
    if (!options.check) {
      printJson({
        trust_domain: TRUST_DOMAIN,
        ready_seconds: Number(seconds.toFixed(2)),
        identities,
        calls,
        processes: mesh.supervisor.processes(),
        ports: mesh.plan.ports,
        sockets: mesh.plan.run,
        logs: mesh.plan.logs,
      });
    }
    return;
  }
  const style = styleFor(process.stdout.isTTY);
  print(`${style.bold(`The mesh ${TRUST_DOMAIN} is up`)}, ready in ${seconds.toFixed(1)} s.\n\n`);
  print(`${identitiesText(identities)}\n${callsText(calls)}\n`);
  print(`Logs: ${mesh.plan.logs}\n`);
  if (!options.check)
    print(`\nTry next, in another terminal:\n${nextSteps(mesh.plan)}\nCtrl-C stops everything.\n`);
}

async function check(mesh: Mesh, options: UpOptions, live: LiveLine): Promise<void> {
  const results = await checkMesh(mesh, (text) => live.show(text));
  live.clear();
  const failed = results.filter(({ ok }) => !ok);
  if (options.output === 'json')
    printJson({ ok: failed.length === 0, checks: results, logs: mesh.plan.logs });
  else print(`\n${checksText(results, styleFor(process.stdout.isTTY))}`);
  if (failed.length > 0) {
    throw new CliError(
      `${failed.length} of ${results.length} checks failed: ${failed.map(({ name }) => name).join(', ')}`,
      {
        hint: `the logs are in ${mesh.plan.logs}`,
      },
    );
  }
  note(`all ${results.length} checks passed`);
}

// On a terminal, a line that shows the identities rotate.
async function untilStopped(mesh: Mesh, live: LiveLine, stopping: AbortSignal): Promise<void> {
  const stopped = new Promise<void>((done) => {
    if (stopping.aborted) done();
    else stopping.addEventListener('abort', () => done(), { once: true });
  });
  const timer = live.isLive
    ? setInterval(() => {
        void identitiesOf(mesh).then(
          (identities) => live.show(`SVIDs: ${identities.slice(2).map(shortIdentity).join('  ')}`),
          () => live.show('SVIDs: the server does not answer'),
        );
      }, 1_000)
    : undefined;
  await stopped;
  clearInterval(timer);
}

function shortIdentity({ id, serial, expires }: { id: string; serial: string; expires: string }): string {
  const left = Math.max(0, Math.round((Date.parse(expires) - Date.now()) / 1_000));
  return `${id.slice(id.lastIndexOf('/') + 1)} ${serial.slice(0, 6)} (${left} s)`;
}

function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = () => controller.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  return controller.signal;
}

// Keys and the database of a temporary mesh go; its logs stay, as do those of the runs before it, a few.
function cleanUp(plan: MeshPlan, options: UpOptions): void {
  const folder = runFolder(plan);
  if (options.dataDir !== undefined) {
    rmSync(folder, { recursive: true, force: true });
    return;
  }
  for (const name of readdirSync(folder)) {
    if (name !== 'logs') rmSync(join(folder, name), { recursive: true, force: true });
  }
  const root = resolve(folder, '..');
  const ended = readdirSync(root, { withFileTypes: true })
    .filter(
      (entry) =>
        entry.isDirectory() &&
        entry.name !== basename(folder) &&
        !readdirSync(join(root, entry.name)).includes('run'),
    )
    .map(({ name }) => name)
    .sort();
  for (const name of ended.slice(0, 1 - KEPT_RUNS))
    rmSync(join(root, name), { recursive: true, force: true });
}
