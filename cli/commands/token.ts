// svid token create
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { JoinTokenSchema } from '../../sdk/api/gen/spire/api/types/jointoken_pb.ts';
import { parseSecondsOption } from '../durations.ts';
import { localClient, serverSocket } from '../endpoints.ts';
import { cliErrorOf } from '../errors.ts';
import { note, print, printJson, timeOf, type OutputFormat } from '../output.ts';
import { jsonOf, wireId } from '../wire.ts';

export async function create(options: {
  ttl: string;
  spiffeId?: string;
  socket?: string;
  output: OutputFormat;
}): Promise<void> {
  const ttl = parseSecondsOption(options.ttl, '--ttl');
  const agentId = options.spiffeId === undefined ? {} : { agentId: wireId(options.spiffeId, '--spiffe-id') };
  const socket = serverSocket(options.socket);
  using client = localClient(socket);
  const token = await client
    .unary(Agent.method.createJoinToken, { ttl, ...agentId })
    .catch((error: unknown) => {
      throw cliErrorOf(error, `the server at ${socket}`);
    });
  // The token is the data of this command, and the one place where it is ever printed.
  if (options.output === 'json') printJson(jsonOf(JoinTokenSchema, token));
  else {
    print(`${token.value}\n`);
    note(
      `good for one agent until ${timeOf(token.expiresAt)}; keep it in a file that only the agent can read`,
    );
  }
}
