// svid agent list
import {
  Agent,
  ListAgentsResponseSchema,
  type ListAgentsResponse,
} from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { localClient, serverSocket } from '../endpoints.ts';
import { cliErrorOf } from '../errors.ts';
import { note, print, printJson, table, timeOf, type OutputFormat } from '../output.ts';
import { idText, jsonOf } from '../wire.ts';

const PAGE_SIZE = 1_000;

export async function list(options: { socket?: string; output: OutputFormat }): Promise<void> {
  const socket = serverSocket(options.socket);
  const agents: ListAgentsResponse['agents'] = [];
  using client = localClient(socket);
  try {
    let pageToken = '';
    do {
      const page = await client.unary(Agent.method.listAgents, { pageSize: PAGE_SIZE, pageToken });
      agents.push(...page.agents);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
  } catch (error) {
    throw cliErrorOf(error, `the server at ${socket}`);
  }
  if (options.output === 'json') {
    printJson(jsonOf(ListAgentsResponseSchema, { agents }));
    return;
  }
  if (agents.length === 0) note('no agent has attested yet');
  const rows = agents.map((agent) => [
    idText(agent.id),
    agent.attestationType,
    agent.banned ? 'banned' : timeOf(agent.x509svidExpiresAt),
    BigInt(agent.x509svidSerialNumber || '0').toString(16),
  ]);
  if (rows.length > 0) print(table([['SPIFFE ID', 'ATTESTATION', 'EXPIRES', 'SERIAL'], ...rows]));
}
