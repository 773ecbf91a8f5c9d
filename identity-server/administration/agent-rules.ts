// Agents within a scope: those whose IDs are covered as parents. And join tokens, which make agents.
import {
  JOIN_TOKEN_PATH,
  joinTokenAgentPath,
  joinTokenDigest,
} from '../../attestors/node/join_token/server.ts';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type {
  CreateJoinTokenRequest,
  GetAgentRequest,
  ListAgentsRequest,
} from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { spiffeIdOf, type SpiffeId } from '../../sdk/spiffe-id.ts';
import { memberIdOf, reading } from '../api/convert.ts';
import { knownAgentId } from '../api/join-token-id.ts';
import { expectFits } from '../api/paging.ts';
import { identityRefusalOf, reachRefusalOf } from './judge-entry.ts';
import { expectNoRefusal, outside, pagesOf, type Rule, type ScopedCall } from './scoped-call.ts';

interface Page {
  readonly agents: readonly { readonly id?: { readonly trustDomain: string; readonly path: string } }[];
  readonly nextPageToken: string;
}

const within = ({ scope }: ScopedCall, page: unknown): Page['agents'] =>
  (page as Page).agents.filter(({ id }) =>
    scope.coversParent(`spiffe://${id!.trustDomain}${id!.path}` as SpiffeId),
  );

const listAgents: Rule = async (call) => {
  const request = call.request as ListAgentsRequest;
  if (request.pageSize !== 0) {
    const page = (await call.next(request)) as Page;
    return { ...page, agents: within(call, page) };
  }
  const agents: Page['agents'][number][] = [];
  for await (const page of pagesOf(call, 'listAgents', request)) agents.push(...within(call, page));
  return expectFits({ agents, nextPageToken: '' }, 'set page_size to receive it in pages');
};

const countAgents: Rule = async (call) => {
  const { filter } = call.request as ListAgentsRequest;
  let count = 0;
  for await (const page of pagesOf(call, 'listAgents', { filter, outputMask: {} })) {
    count += within(call, page).length;
  }
  return { count };
};

async function namedAgent({ request, options, scope }: ScopedCall): Promise<SpiffeId | undefined> {
  const message = (request as GetAgentRequest).id;
  const named = reading('invalid agent ID', () => memberIdOf(message, options.trustDomain));
  const id = await knownAgentId(named, options);
  return scope.coversParent(id) ? id : undefined;
}

const getAgent: Rule = async (call) => {
  if ((await namedAgent(call)) === undefined) throw new RpcError('NOT_FOUND', 'agent not found');
  return call.next(call.request);
};

// A node that others share is not one administrator's to take away.
const takeAgent: Rule = async (call) => {
  const id = await namedAgent(call);
  if (id === undefined) throw new RpcError('NOT_FOUND', 'agent not found');
  for (const entry of call.options.registry.authorizedEntries(id).values()) {
    if (!call.scope.coversId(entry.spiffeId)) {
      throw outside('the agent serves entries outside of your scope');
    }
  }
  return call.next(call.request);
};

const createJoinToken: Rule = async (call) => {
  const { token, agentId } = call.request as CreateJoinTokenRequest;
  const { options, scope, reach } = call;
  // The ID that the node will have; of a token that the server will choose, one like it.
  const path = joinTokenAgentPath(joinTokenDigest(token === '' ? 'any' : token));
  const nodeId = spiffeIdOf(options.trustDomain, path);
  if (!scope.coversParent(nodeId)) throw outside(`agents below ${JOIN_TOKEN_PATH} are outside of your scope`);
  if (token !== '') expectNoRefusal(reachRefusalOf(nodeId, scope, reach));
  if (agentId !== undefined) {
    const alias = reading('invalid agent ID', () => memberIdOf(agentId, options.trustDomain));
    expectNoRefusal(identityRefusalOf(alias, scope, reach) ?? reachRefusalOf(alias, scope, reach));
  }
  return call.next(call.request);
};

/** The rules of the Agent service. */
export const AGENT_RULES: Readonly<Record<string, Rule>> = {
  listAgents,
  countAgents,
  getAgent,
  banAgent: takeAgent,
  deleteAgent: takeAgent,
  createJoinToken,
};
