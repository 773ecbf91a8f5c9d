// The configuration files of a mesh: the same files that an operator would write.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { writePrivateFile } from '../../daemon/files.ts';
import { SocketName } from '../endpoints.ts';
import { PACKAGE_FOLDER } from '../runtimes.ts';
import { socketOf, TRUST_DOMAIN, workloadId, type MeshPlan, type ProxyPlan } from './plan.ts';

const AGENT_TTL = '1h'; // Longer than any outage that the demo should survive: a join token cannot be used again.

export function serverConfig(plan: MeshPlan): unknown {
  return {
    trust_domain: TRUST_DOMAIN,
    data_dir: join(plan.data, 'server'),
    listen: `127.0.0.1:${plan.ports.server}`,
    socket_path: join(plan.run, SocketName.server),
    agent_ttl: AGENT_TTL,
  };
}

export function agentConfig(plan: MeshPlan): unknown {
  return {
    trust_domain: TRUST_DOMAIN,
    data_dir: join(plan.data, 'agent'),
    server: `127.0.0.1:${plan.ports.server}`,
    socket_path: join(plan.run, SocketName.workloadApi),
    admin_socket_path: join(plan.run, SocketName.agentAdmin),
    trust_bundle_file: bundleFile(plan),
    join_token_file: joinTokenFile(plan),
    sync_interval: '1s',
  };
}

export function bundleFile(plan: MeshPlan): string {
  return join(plan.data, 'bundle.pem');
}

export function joinTokenFile(plan: MeshPlan): string {
  return join(plan.data, 'join-token');
}

/** A proxy's configuration. The impostor listens where payments does, and protects nothing but itself. */
export function proxyConfig(plan: MeshPlan, { name }: ProxyPlan): unknown {
  const upstream = (target: 'orders' | 'payments') => ({
    name: target,
    listen: `unix:${socketOf(plan, `${name}-to-${target}`)}`,
    upstream: { address: `127.0.0.1:${plan.ports[target]}`, accept: [workloadId(target)] },
  });
  const inbound = (service: 'orders' | 'payments') => ({
    name: service,
    listen: `127.0.0.1:${plan.ports[service]}`,
    policy: join(PACKAGE_FOLDER, 'deploy/examples/shop', `${service}.policy.yaml`),
    application: `unix:${socketOf(plan, service)}`,
  });
  const common = {
    workload_api: `unix://${join(plan.run, SocketName.workloadApi)}`,
    admin: `unix:${socketOf(plan, `${name}-admin`)}`,
  };
  switch (name) {
    case 'web':
      return { ...common, outbound: [upstream('orders'), upstream('payments')] };
    case 'orders':
      return { ...common, inbound: [inbound('orders')], outbound: [upstream('payments')] };
    case 'payments':
    case 'impostor':
      return { ...common, inbound: [inbound('payments')] };
  }
}

/** Writes a configuration and returns the file's path. */
export async function writeConfig(plan: MeshPlan, name: string, config: unknown): Promise<string> {
  const folder = join(plan.data, 'config');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${name}.yaml`);
  await writePrivateFile(file, stringify(config));
  return file;
}
