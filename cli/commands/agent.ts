// svid agent list | show | count | ban | evict | purge
import {
  Agent as AgentService,
  CountAgentsResponseSchema,
  ListAgentsResponseSchema,
} from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { AgentSchema, type Agent } from '../../sdk/api/gen/spire/api/types/agent_pb.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import { parseDurationOption } from '../durations.ts';
import { CliError, ExitCode } from '../errors.ts';
import { fields, note, print, printJson, table, timeOf } from '../output.ts';
import { allPages, withServer, type ServerOptions } from '../server-call.ts';
import { idText, jsonOf, matchBehavior, wireId, wireSelector, type MatchName } from '../wire.ts';

const PAGE_SIZE = 1_000;

/** Options that choose among agents. */
export interface AgentFilterOptions {
  readonly selector?: string[];
  readonly matchSelectors?: MatchName;
  readonly attestationType?: string;
  readonly banned?: string;
  readonly canReattest?: string;
  readonly expiresBefore?: string;
}

export async function list(options: ServerOptions & AgentFilterOptions): Promise<void> {
  const filter = filterOf(options);
  const agents = await withServer(options, (client) => allAgents(client, filter));
  if (options.output === 'json') {
    printJson(jsonOf(ListAgentsResponseSchema, { agents }));
    return;
  }
  if (agents.length === 0)
    note(Object.values(filter).some(Boolean) ? 'no agent matches' : 'no agent has attested yet');
  const rows = agents.map((agent) => [
    idText(agent.id),
    agent.attestationType,
    agent.banned ? 'banned' : timeOf(agent.x509svidExpiresAt),
    agent.x509svidSerialNumber,
  ]);
  if (rows.length > 0) print(table([['SPIFFE ID', 'ATTESTATION', 'EXPIRES', 'SERIAL'], ...rows]));
}

export async function count(options: ServerOptions & AgentFilterOptions): Promise<void> {
  const answer = await withServer(options, (client) =>
    client.unary(AgentService.method.countAgents, { filter: filterOf(options) }),
  );
  if (options.output === 'json') printJson(jsonOf(CountAgentsResponseSchema, answer));
  else print(`${answer.count}\n`);
}

export async function show(id: string, options: ServerOptions): Promise<void> {
  const agent = await withServer(
    options,
    (client) => client.unary(AgentService.method.getAgent, { id: wireId(id, 'the agent') }),
    `agent ${id}`,
  );
  if (options.output === 'json') printJson(jsonOf(AgentSchema, agent));
  else print(agentText(agent));
}

export async function ban(id: string, options: ServerOptions): Promise<void> {
  const request = { id: wireId(id, 'the agent') };
  await withServer(options, (client) => client.unary(AgentService.method.banAgent, request), `agent ${id}`);
  if (options.output === 'json') printJson({ banned: id });
  note(`banned ${id}: it can neither work nor attest until it is evicted`);
}

export async function evict(id: string, options: ServerOptions): Promise<void> {
  const request = { id: wireId(id, 'the agent') };
  await withServer(
    options,
    (client) => client.unary(AgentService.method.deleteAgent, request),
    `agent ${id}`,
  );
  if (options.output === 'json') printJson({ evicted: id });
  note(`evicted ${id}: it has to attest again`);
}

export async function purge(
  options: ServerOptions & { expiredFor: string; dryRun?: boolean },
): Promise<void> {
  const expiredFor = parseDurationOption(options.expiredFor, '--expired-for');
  const before = Math.floor((Date.now() - expiredFor) / 1_000);
  const gone: { readonly id: string; readonly error?: string }[] = [];
  await withServer(options, async (client) => {
    // Who cannot attest again would be lost for good, so those are left to `evict`; banned agents stay banned.
    const agents = await allAgents(client, { byCanReattest: true, byBanned: false });
    for (const agent of agents) {
      if (Number(agent.x509svidExpiresAt) >= before) continue;
      const id = idText(agent.id);
      if (options.dryRun === true) gone.push({ id });
      else gone.push(await evicted(client, agent, id));
    }
  });
  const failed = gone.filter(({ error }) => error !== undefined);
  if (options.output === 'json') {
    printJson({
      expired_agents: gone.map(({ id, error }) => ({
        agent_id: id,
        deleted: options.dryRun !== true && error === undefined,
        ...(error !== undefined && { error }),
      })),
    });
  }
  for (const { id, error } of gone) {
    if (error !== undefined) note(`svid: error: ${id}: ${error}`);
    else note(options.dryRun === true ? `would evict ${id}` : `evicted ${id}`);
  }
  if (gone.length === 0) note('no agent has been expired for so long');
  if (failed.length > 0) throw new CliError(`${failed.length} of ${gone.length} agents could not be evicted`);
}

async function evicted(client: GrpcClient, { id }: Agent, name: string) {
  try {
    await client.unary(AgentService.method.deleteAgent, { id });
    return { id: name };
  } catch (error) {
    return { id: name, error: (error as { details?: string }).details ?? String(error) };
  }
}

function allAgents(client: GrpcClient, filter: ReturnType<typeof filterOf>): Promise<Agent[]> {
  return allPages(
    (pageToken) => client.unary(AgentService.method.listAgents, { filter, pageSize: PAGE_SIZE, pageToken }),
    (page) => page.agents,
  );
}

interface AgentFilter {
  readonly byAttestationType?: string;
  readonly bySelectorMatch?: {
    selectors: { type: string; value: string }[];
    match: ReturnType<typeof matchBehavior>;
  };
  readonly byBanned?: boolean;
  readonly byCanReattest?: boolean;
  readonly byExpiresBefore?: string;
}

function filterOf(options: AgentFilterOptions): AgentFilter {
  const { selector, banned, canReattest } = options;
  const flag = (value: string | undefined) => (value === undefined ? undefined : value === 'true');
  return {
    byAttestationType: options.attestationType,
    bySelectorMatch:
      selector === undefined
        ? undefined
        : { selectors: selector.map(wireSelector), match: matchBehavior(options.matchSelectors) },
    byBanned: flag(banned),
    byCanReattest: flag(canReattest),
    byExpiresBefore: options.expiresBefore === undefined ? undefined : wireTime(options.expiresBefore),
  };
}

// The form that SPIRE's API has: 2006-01-02 15:04:05 -0700 -07
function wireTime(text: string): string {
  const time = Date.parse(text);
  if (Number.isNaN(time)) {
    throw new CliError(
      `--expires-before: ${JSON.stringify(text)} is no ISO time, such as 2027-01-31T12:00:00Z`,
      {
        exitCode: ExitCode.usage,
      },
    );
  }
  return `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} +0000 +00`;
}

function agentText(agent: Agent): string {
  return fields([
    ['SPIFFE ID', idText(agent.id)],
    ['Attestation type', agent.attestationType],
    ['Expires', timeOf(agent.x509svidExpiresAt)],
    agent.banned ? ['Banned', 'true'] : ['Serial number', agent.x509svidSerialNumber],
    ['Can re-attest', String(agent.canReattest)],
    ...(agent.agentVersion === '' ? [] : [['Agent version', agent.agentVersion] as const]),
    ...agent.selectors.map(({ type, value }) => ['Selector', `${type}:${value}`] as const),
  ]);
}
