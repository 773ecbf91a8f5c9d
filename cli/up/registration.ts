// What the mesh needs from its server before an agent can attest: a join token, the bundle, and the entries.
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { Bundle } from '../../sdk/api/gen/spire/api/server/bundle/v1/bundle_pb.ts';
import { Entry } from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import { status } from '@grpc/grpc-js';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { localClient, SocketName } from '../endpoints.ts';
import { CliError } from '../errors.ts';
import { wireId } from '../wire.ts';
import { ALL_PROXIES, NODE_ID, SVID_TTL_SECONDS, workloadId, type MeshPlan } from './plan.ts';

const JOIN_TOKEN_TTL_SECONDS = 300;
// A folder that is used again has the entries of the last time.
const DONE = new Set<number | undefined>([status.OK, status.ALREADY_EXISTS]);

/** Whether the server answers on its local socket. */
export async function serverAnswers(plan: MeshPlan): Promise<boolean> {
  const socket = join(plan.run, SocketName.server);
  if (!existsSync(socket)) return false;
  using client = localClient(socket);
  try {
    await client.unary(Bundle.method.getBundle, {}, { timeout: 2_000 });
    return true;
  } catch {
    return false;
  }
}

/** Creates the entries (those that exist stay) and a join token; fetches the bundle, as PEM. */
export async function registerMesh(plan: MeshPlan): Promise<{ joinToken: string; bundle: string }> {
  using client = localClient(join(plan.run, SocketName.server));
  const { results } = await client.unary(Entry.method.batchCreateEntry, {
    entries: ALL_PROXIES.map(({ name }) => ({
      spiffeId: wireId(workloadId(name), name),
      parentId: wireId(NODE_ID, 'node'),
      // A name alone would be worth as much as the launcher's word; with the uid it is bounded by the kernel's.
      selectors: [
        { type: 'launch', value: `name:${name}` },
        { type: 'unix', value: `uid:${process.getuid?.() ?? 0}` },
      ],
      x509SvidTtl: SVID_TTL_SECONDS,
    })),
  });
  for (const result of results) {
    if (!DONE.has(result.status?.code)) {
      throw new CliError(`an entry could not be created: ${result.status?.message}`);
    }
  }
  const token = await client.unary(Agent.method.createJoinToken, {
    ttl: JOIN_TOKEN_TTL_SECONDS,
    agentId: wireId(NODE_ID, 'node'),
  });
  const bundle = await client.unary(Bundle.method.getBundle, {});
  return {
    joinToken: token.value,
    bundle: pemOf(
      'CERTIFICATE',
      bundle.x509Authorities.map(({ asn1 }) => asn1),
    ),
  };
}
