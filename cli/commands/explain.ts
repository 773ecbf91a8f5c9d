// svid explain: why a workload gets the identities that it gets, and not others.
import {
  AgentState_Standing as Standing,
  Explain,
  ExplainEntriesResponseSchema,
  Obstacle_Kind as Kind,
  type AgentState,
  type ExplainedEntry,
  type ExplainEntriesResponse,
  type Obstacle,
} from '../../sdk/api/gen/sigil/explain/v1/explain_pb.ts';
import type { Selector } from '../../sdk/api/gen/spire/api/types/selector_pb.ts';
import { CliError, ExitCode } from '../errors.ts';
import { print, printJson, timeOf, visible } from '../output.ts';
import { withServer, type ServerOptions } from '../server-call.ts';
import { idText, jsonOf, wireId, wireSelector } from '../wire.ts';

/** Options of the command. */
export interface ExplainOptions extends ServerOptions {
  readonly agent: string;
  readonly selector?: readonly string[];
  readonly spiffeId?: string;
  readonly limit: string;
}

export async function explain(options: ExplainOptions): Promise<void> {
  if (!/^[1-9]\d{0,2}$/.test(options.limit)) {
    throw new CliError('--limit must be a number from 1 to 200', { exitCode: ExitCode.usage });
  }
  const request = {
    agentId: wireId(options.agent, '--agent'),
    selectors: (options.selector ?? []).map(wireSelector),
    spiffeId: options.spiffeId === undefined ? undefined : wireId(options.spiffeId, '--spiffe-id'),
    limit: Number(options.limit),
  };
  const answer = await withServer(options, (client) => client.unary(Explain.method.explainEntries, request));
  if (options.output === 'json') printJson(jsonOf(ExplainEntriesResponseSchema, answer));
  else print(explanationText(answer));
}

/** The answer for people. */
export function explanationText(answer: ExplainEntriesResponse): string {
  const { agent, matched, matchedCount, nearly, nearlyCount } = answer;
  const lines = agentLines(agent!);
  lines.push('', matchedCount === 0 ? 'No entry matches.' : `Matches ${count(matchedCount)}:`);
  for (const entry of matched) {
    const store = entry.storeSvid ? ', which goes to a store and not to the Workload API' : '';
    lines.push(`  ${nameOf(entry)}${store}`);
  }
  if (matched.length < matchedCount) lines.push(`  and ${matchedCount - matched.length} more`);
  if (nearlyCount > 0)
    lines.push('', `Nearly ${nearlyCount === 1 ? 'matches' : 'match'} ${count(nearlyCount)}:`);
  for (const entry of nearly) {
    lines.push(
      `  ${nameOf(entry)}`,
      ...entry.obstacles.map((obstacle) => `    ${obstacleText(obstacle, entry)}`),
    );
  }
  if (nearly.length < nearlyCount) {
    lines.push(
      `  and ${nearlyCount - nearly.length} more: see them with --limit, or ask for one with --spiffe-id`,
    );
  }
  if (matchedCount + nearlyCount === 0) {
    lines.push(
      'No entry comes near either: none has this agent above it, and none shares a selector of the workload.',
    );
    lines.push('Create one: svid entry create --parent-id AGENT --spiffe-id ID --selector TYPE:VALUE');
  }
  return `${lines.map(visible).join('\n')}\n`;
}

const STANDINGS: Readonly<Record<Standing, string>> = {
  [Standing.UNKNOWN]: 'unknown',
  [Standing.ATTESTED]: 'attested',
  [Standing.NOT_ATTESTED]: 'not attested: no agent has this ID, or it was evicted (svid agent list)',
  [Standing.BANNED]: 'banned: it gets nothing until it is evicted and attests again',
  [Standing.EXPIRED]: 'its SVID has expired: it has not been in touch',
};

function agentLines({ id, standing, selectors, aliases }: AgentState): string[] {
  const lines = [`Agent ${idText(id)}: ${STANDINGS[standing]}`];
  if (selectors.length > 0) lines.push(`  selectors of the node: ${selectorsText(selectors)}`);
  if (aliases.length > 0) lines.push(`  also known as: ${aliases.map(idText).join(', ')}`);
  return lines;
}

function obstacleText(
  { kind, missing, present, id, entryId, expiredAt }: Obstacle,
  entry: ExplainedEntry,
): string {
  const instead = present.length === 0 ? '' : ` (there is ${selectorsText(present)})`;
  switch (kind) {
    case Kind.MISSING_SELECTORS:
      return `the workload does not show ${selectorsText(missing)}${instead}`;
    case Kind.EXPIRED:
      return `the entry expired at ${timeOf(expiredAt)}`;
    case Kind.PARENT_IS_OTHER_AGENT:
      return `its parent is another agent: ${idText(id)}`;
    case Kind.ALIAS_MISSING_SELECTORS:
      return missing.length === 0
        ? `its parent ${idText(id)} is an alias that does not name this node`
        : `its parent ${idText(id)} is an alias (entry ${entryId}), and the node does not have ${selectorsText(missing)}${instead}`;
    case Kind.PARENT_EXPIRED:
      return `its parent ${idText(id)} is granted by entry ${entryId}, which expired at ${timeOf(expiredAt)}`;
    case Kind.PARENT_NOT_AUTHORIZED:
      return `its parent ${idText(id)} is not granted on this agent: explain that one with --spiffe-id ${idText(id)}`;
    case Kind.PARENT_UNKNOWN:
      return `nothing has the ID of its parent ${idText(id)}: no agent, no alias, no entry`;
    case Kind.IS_ALIAS:
      return `it names nodes (its parent is ${idText(entry.parentId)}), and no workload gets it`;
    case Kind.AGENT_NOT_SERVED:
      return 'the agent gets no entries now: see above';
    default:
      return 'for a reason that this version of svid does not know';
  }
}

function nameOf({ id, spiffeId }: ExplainedEntry): string {
  return `${idText(spiffeId)} (entry ${id})`;
}

function selectorsText(selectors: readonly Selector[]): string {
  return selectors.map(({ type, value }) => `${type}:${value}`).join(', ');
}

function count(entries: number): string {
  return entries === 1 ? '1 entry' : `${entries} entries`;
}
