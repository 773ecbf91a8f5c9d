// CreateJoinToken: the token is given out once and kept as a digest.
import { randomUUID } from 'node:crypto';
import {
  JOIN_TOKEN_PATH,
  joinTokenAgentPath,
  joinTokenDigest,
  MAX_JOIN_TOKEN_BYTES,
} from '../../attestors/node/join_token/server.ts';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { spiffeIdOf, type SpiffeId } from '../../sdk/spiffe-id.ts';
import type { CreateJoinTokenRequest } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { validateEntry } from '../entry/validate.ts';
import type { AttestedNode, Entry, NewEntry } from '../store/store.ts';
import { memberIdOf, reading, secondsOf } from './convert.ts';
import type { ServiceOptions } from './services.ts';

export async function createJoinToken(
  request: CreateJoinTokenRequest,
  options: ServiceOptions,
): Promise<{ value: string; expiresAt: bigint }> {
  const { trustDomain, store, registry, now } = options;
  if (request.ttl < 1) throw new RpcError('INVALID_ARGUMENT', 'ttl is required, you must provide one');
  if (request.token.length > MAX_JOIN_TOKEN_BYTES) {
    throw new RpcError('INVALID_ARGUMENT', `token is longer than ${MAX_JOIN_TOKEN_BYTES} characters`);
  }
  const token = request.token === '' ? randomUUID() : request.token;
  const digest = joinTokenDigest(token);
  const expiresAt = secondsOf(now()) + request.ttl;
  const nodeId = spiffeIdOf(trustDomain, joinTokenAgentPath(digest));
  const alias =
    request.agentId &&
    reading('invalid agent ID', () => {
      const entry = aliasEntry(memberIdOf(request.agentId, trustDomain), nodeId, secondsOf(now()));
      validateEntry(entry, trustDomain);
      return entry;
    });
  if (!(await store.createJoinToken({ digest, expiresAt }, alias))) {
    throw new RpcError('ALREADY_EXISTS', 'failed to create token: it exists already');
  }
  await registry.catchUp();
  return { value: token, expiresAt: BigInt(expiresAt) };
}

// SPIRE's entry: below the node's own ID, with a selector that no workload has.
function aliasEntry(agentId: SpiffeId, nodeId: SpiffeId, createdAt: number): NewEntry {
  return {
    id: randomUUID(),
    spiffeId: agentId,
    parentId: nodeId,
    selectors: [{ type: 'spiffe_id', value: nodeId }],
    x509SvidTtl: 0,
    jwtSvidTtl: 0,
    federatesWith: [],
    admin: false,
    downstream: false,
    expiresAt: 0,
    dnsNames: [],
    storeSvid: false,
    hint: '',
    disableX509SvidPrefetch: false,
    jwtSvidIncludeJti: false,
    createdAt,
  };
}

/** Entries that go when their node goes: those which CreateJoinToken made for it. */
export function aliasEntriesOf(node: AttestedNode, children: Iterable<Entry>): string[] {
  if (!node.id.includes(JOIN_TOKEN_PATH)) return [];
  return [...children]
    .filter(
      ({ selectors }) =>
        selectors.length === 1 && selectors[0]!.type === 'spiffe_id' && selectors[0]!.value === node.id,
    )
    .map(({ id }) => id);
}
