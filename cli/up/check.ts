// The demo's self-check: constant traffic until every workload SVID has rotated, then an impostor in payments' place.
import { delay } from '../../sdk/backoff.ts';
import { messageOf } from '../../sdk/error.ts';
import { callCharge, callOrders, decisionOf } from './calls.ts';
import { adminJson, httpCall } from './http.ts';
import type { Mesh, ProxyIdentity } from './mesh.ts';
import { IMPOSTOR, processOf, PROXIES, socketOf } from './plan.ts';

/** One thing that was checked. */
export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What the admin socket of a proxy counts. */
interface ProxyStats {
  readonly connections: { readonly accepted: number; readonly refused: number };
  readonly application_bytes_received: number;
}

const CALL_INTERVAL = 50;
const ROTATION_TIMEOUT = 75_000;

/** Runs all checks; `progress` is told how far it is. */
export async function checkMesh(mesh: Mesh, progress: (text: string) => void): Promise<CheckResult[]> {
  const traffic = new Traffic(mesh);
  const rotations = await watchRotations(mesh, (rotated) =>
    progress(
      `waiting for a rotation of every SVID: ${rotated} of ${PROXIES.length}; ${traffic.count} calls so far`,
    ),
  );
  // Past the last rotation, too: connections made with the old SVID have to live on, and new ones to be made.
  await delay(1_000);
  const results = [...rotations, ...(await traffic.stop())];
  progress('putting an impostor in the place of payments');
  return [...results, await checkImpostor(mesh)];
}

// Two callers that never pause: one does what is allowed, the other what is forbidden.
class Traffic {
  readonly #stopping = new AbortController();
  readonly #callers: Promise<CheckResult>[];
  count = 0;

  constructor({ plan }: Mesh) {
    this.#callers = [
      this.#caller('allowed calls succeed', 'web -> orders -> payments', 200, () => callOrders(plan)),
      this.#caller('forbidden calls fail', 'web -> payments', 403, () => callCharge(plan)),
    ];
  }

  async stop(): Promise<CheckResult[]> {
    this.#stopping.abort();
    return Promise.all(this.#callers);
  }

  async #caller(
    name: string,
    path: string,
    expected: number,
    call: () => Promise<{ status: number; body: string }>,
  ): Promise<CheckResult> {
    const { signal } = this.#stopping;
    let calls = 0;
    const wrong: string[] = [];
    while (!signal.aborted) {
      try {
        const answer = await call();
        if (answer.status !== expected) wrong.push(`${answer.status}: ${answer.body.trim()}`);
      } catch (error) {
        wrong.push(messageOf(error));
      }
      calls++;
      this.count++;
      await delay(CALL_INTERVAL, signal);
    }
    const detail =
      wrong.length === 0
        ? `${path}: ${calls} of ${calls} answered ${expected}`
        : `${path}: ${wrong.length} of ${calls} did not answer ${expected}; the first: ${wrong[0]}`;
    return { name, ok: wrong.length === 0 && calls > 0, detail };
  }
}

async function watchRotations(mesh: Mesh, progress: (rotated: number) => void): Promise<CheckResult[]> {
  const first = new Map<string, ProxyIdentity>();
  const later = new Map<string, ProxyIdentity>();
  const deadline = performance.now() + ROTATION_TIMEOUT;
  while (later.size < PROXIES.length && performance.now() < deadline) {
    for (const proxy of PROXIES) {
      const identity = await mesh.identityOf(proxy);
      if (identity === undefined) continue;
      const known = first.get(proxy.name);
      if (known === undefined) first.set(proxy.name, identity);
      else if (known.serial !== identity.serial) later.set(proxy.name, identity);
    }
    progress(later.size);
    await delay(500);
  }
  return PROXIES.map(({ name }) => {
    const [before, after] = [first.get(name), later.get(name)];
    return {
      name: `${name} rotated`,
      ok: after !== undefined,
      detail:
        after === undefined
          ? `serial ${before?.serial ?? 'unknown'} was not replaced within ${ROTATION_TIMEOUT / 1_000} s`
          : `serial ${before?.serial} -> ${after.serial}, valid until ${after.not_after}`,
    };
  });
}

// A proxy with a valid SVID of its own, on the very address of payments: orders must refuse it before a byte of the
// request leaves. What it received is its own count, and what orders saw is in orders' log.
async function checkImpostor(mesh: Mesh): Promise<CheckResult> {
  const name = 'an impostor is refused';
  const payments = PROXIES.find((proxy) => proxy.name === 'payments')!;
  await mesh.stopProxy(payments);
  await mesh.startProxy(IMPOSTOR);
  await mesh.proxyReady(IMPOSTOR);
  const identity = await mesh.identityOf(IMPOSTOR);
  const answer = await httpCall({ socketPath: socketOf(mesh.plan, 'orders-to-payments') }, 'POST', '/charge');
  const decision = await decisionOf(mesh.plan, 'orders', answer.requestId);
  const stats = await adminJson<ProxyStats>(socketOf(mesh.plan, 'impostor-admin'), '/stats');
  await mesh.stopProxy(IMPOSTOR);
  await mesh.startProxy(payments);
  await mesh.proxyReady(payments);
  const healed = await callOrders(mesh.plan);
  const { accepted, refused } = stats?.connections ?? { accepted: 0, refused: 0 };
  const received = stats?.application_bytes_received;
  const problems = [
    answer.status === 503 ? '' : `orders answered ${answer.status}, not 503`,
    received === 0 ? '' : `the impostor received ${received} bytes`,
    accepted + refused > 0 ? '' : 'the impostor saw no connection, so nothing was proved',
    decision?.reason?.includes(identity?.id ?? 'no identity')
      ? ''
      : `orders' log does not name ${identity?.id}`,
    healed.status === 200 ? '' : `with payments back, web got ${healed.status}`,
  ].filter((problem) => problem !== '');
  return {
    name,
    ok: problems.length === 0,
    detail:
      problems.length === 0
        ? `${identity?.id} at the address of payments got 0 bytes; orders answered 503 (${decision?.reason})`
        : `${problems.join('; ')} (${processOf(IMPOSTOR)}.log, orders-proxy.log, request ${answer.requestId})`,
  };
}
