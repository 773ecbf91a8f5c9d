// The Agent service: nodes join, renew, are listed, banned and evicted.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Handlers } from '../../daemon/grpc/server.ts';
import type { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { PermissionDeniedDetails_Reason as Reason } from '../../sdk/api/gen/spire/api/types/status_pb.ts';
import type { SPIFFEID } from '../../sdk/api/gen/spire/api/types/spiffeid_pb.ts';
import { pathOf, type SpiffeId } from '../../sdk/spiffe-id.ts';
import { isBanned, matchesNode } from '../entry/filter.ts';
import type { AttestedNode } from '../store/store.ts';
import { agentMessage, nodeFilterOf } from './agent-message.ts';
import { attestAgent, csrKeyOf } from './attest.ts';
import { agentIdOf, type Caller } from './caller.ts';
import { memberIdOf, reading, svidMessage } from './convert.ts';
import { denied, reasonDetail } from './guard.ts';
import { aliasEntriesOf, createJoinToken } from './join-token.ts';
import { knownAgentId } from './join-token-id.ts';
import { pageOf } from './paging.ts';
import type { ServiceOptions } from './services.ts';

const MAX_VERSION_LENGTH = 255;

export function agentService(options: ServiceOptions): Handlers<typeof Agent, Caller> {
  const { registry, store, ca, log } = options;
  return {
    attestAgent: (requests, context) => attestAgent(requests, context, options),
    createJoinToken: (request) => createJoinToken(request, options),
    async renewAgent({ params }, context) {
      const id = agentIdOf(context);
      if (params === undefined || params.csr.length === 0) {
        throw new RpcError('INVALID_ARGUMENT', params === undefined ? 'params cannot be nil' : 'missing CSR');
      }
      const publicKeyInfo = csrKeyOf(params.csr, options);
      expectRenewable(expectNode(registry.node(id)), context.path);
      const svid = await ca.signX509({ id, publicKeyInfo, ttl: options.agentTtl });
      // The current SVID stays good until the new one was used: an answer may get lost (two-phase, as in SPIRE).
      const after = await store.updateNode(id, (node) => {
        expectRenewable(node, context.path);
        return { ...node, newSerial: svid.serial, newNotAfter: svid.notAfter };
      });
      expectNode(after);
      await registry.catchUp();
      log.info({ agent_id: id, serial: svid.serial }, 'an agent renewed its SVID');
      return { svid: svidMessage(svid) };
    },
    async postStatus({ agentVersion }, context) {
      if (agentVersion.length > MAX_VERSION_LENGTH) {
        throw new RpcError('INVALID_ARGUMENT', 'agent version is too long');
      }
      await store.updateNode(agentIdOf(context), (node) =>
        node.agentVersion === agentVersion ? undefined : { ...node, agentVersion },
      );
      await registry.catchUp();
      return {};
    },
    async countAgents({ filter }) {
      const wanted = nodeFilterOf(filter);
      let count = 0;
      for (const node of registry.nodes()) if (matchesNode(node, wanted)) count++;
      return { count };
    },
    async listAgents({ filter, outputMask, pageSize, pageToken }) {
      const wanted = nodeFilterOf(filter);
      const page = pageOf(
        registry.nodes(),
        { pageSize, pageToken },
        {
          order: 'number',
          keyOf: ({ sequence }) => sequence,
          wanted: (node) => matchesNode(node, wanted),
          messageOf: (node) => agentMessage(node, outputMask),
        },
      );
      return { agents: page.items, nextPageToken: page.nextPageToken };
    },
    async getAgent({ id, outputMask }) {
      return agentMessage(expectNode(registry.node(await namedAgent(id, options))), outputMask);
    },
    async deleteAgent({ id }) {
      const agentId = await namedAgent(id, options);
      const node = expectNode(registry.node(agentId));
      const aliases = aliasEntriesOf(node, registry.entries.childrenOf(agentId));
      if (!(await store.deleteNode(agentId, aliases))) throw new RpcError('NOT_FOUND', 'agent not found');
      await registry.catchUp();
      log.info({ agent_id: agentId }, 'an agent was evicted');
      return {};
    },
    async banAgent({ id }) {
      const agentId = await namedAgent(id, options);
      expectNode(await store.updateNode(agentId, (node) => ({ ...node, serial: '', newSerial: '' })));
      await registry.catchUp();
      log.info({ agent_id: agentId }, 'an agent was banned');
      return {};
    },
  };
}

function expectRenewable(node: AttestedNode, path: string): void {
  if (isBanned(node)) throw denied(path, Reason.AGENT_BANNED);
  if (node.canReattest) {
    throw new RpcError('PERMISSION_DENIED', 'agent must reattest instead of renew', [
      reasonDetail(Reason.AGENT_MUST_REATTEST),
    ]);
  }
}

function expectNode(node: AttestedNode | undefined): AttestedNode {
  if (node === undefined) throw new RpcError('NOT_FOUND', 'agent not found');
  return node;
}

async function namedAgent(message: SPIFFEID | undefined, options: ServiceOptions): Promise<SpiffeId> {
  const id = reading('invalid agent ID', () => {
    const id = memberIdOf(message, options.trustDomain);
    if (pathOf(id).startsWith('/spire/agent/')) return id;
    throw new Error(`${JSON.stringify(id)} is not an agent in trust domain "${options.trustDomain}"`);
  });
  return knownAgentId(id, options);
}
