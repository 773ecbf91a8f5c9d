// What `svid up` starts, and where everything of it lies: names, identities, ports, sockets, folders. Pure.
import { join } from 'node:path';
import type { Runtime } from '../runtimes.ts';

export const TRUST_DOMAIN = 'shop.example';
/** The node alias below which the entries are: it does not depend on the join token. */
export const NODE_ID = `spiffe://${TRUST_DOMAIN}/node/local`;
/** Workload SVIDs live this long, so that rotation can be watched. */
export const SVID_TTL_SECONDS = 60;

/** Ports that can be fixed by `--port NAME=PORT`. */
export const PORT_NAMES = ['server', 'web', 'orders', 'payments'] as const;
export type PortName = (typeof PORT_NAMES)[number];

/** A service's proxy: the name that the launcher gives it is the name of its identity. */
export interface ProxyPlan {
  readonly name: 'web' | 'orders' | 'payments' | 'impostor';
  readonly runtime: Runtime;
}

export const PROXIES: readonly ProxyPlan[] = [
  { name: 'web', runtime: 'bun' },
  { name: 'orders', runtime: 'deno' },
  { name: 'payments', runtime: 'node' },
];

/** The proxy that the check puts in payments' place: a valid identity, and the wrong one. */
export const IMPOSTOR: ProxyPlan = { name: 'impostor', runtime: 'node' };

/** Every proxy that has an entry. */
export const ALL_PROXIES: readonly ProxyPlan[] = [...PROXIES, IMPOSTOR];

/** The name of a proxy's process and log. */
export function processOf(proxy: ProxyPlan): string {
  return `${proxy.name}-proxy`;
}

/** The ID of a workload. */
export function workloadId(name: string): string {
  return `spiffe://${TRUST_DOMAIN}/${name}`;
}

/** One mesh: its ports and its places. */
export interface MeshPlan {
  readonly ports: Readonly<Record<PortName, number>>;
  /** Keys, database, configuration. */
  readonly data: string;
  readonly logs: string;
  /** Sockets: a short path that only this user can enter. */
  readonly run: string;
}

/** The path of a socket. */
export function socketOf(plan: MeshPlan, name: string): string {
  return join(plan.run, `${name}.sock`);
}

/** The path of a program's log. */
export function logOf(plan: MeshPlan, name: string): string {
  return join(plan.logs, `${name}.log`);
}
