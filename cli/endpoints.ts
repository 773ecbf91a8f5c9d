// Which socket a command talks to: its option, then the environment, then the mesh that `svid up` started last.
import { credentials } from '@grpc/grpc-js';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { GrpcClient } from '../sdk/grpc/client.ts';
import { CliError, ExitCode } from './errors.ts';
import { currentMesh } from './runtime-folder.ts';

/** Names of sockets in the `run` folder of a mesh. */
export const SocketName = {
  server: 'server.sock',
  workloadApi: 'agent.sock',
  agentAdmin: 'agent-admin.sock',
} as const;

/** The identity server's local socket. */
export function serverSocket(option: string | undefined): string {
  return find(option, 'SIGIL_SERVER_SOCKET', SocketName.server, '--socket PATH', 'the identity server');
}

/** The agent's admin socket. */
export function agentAdminSocket(option: string | undefined): string {
  return find(
    option,
    'SIGIL_AGENT_ADMIN_SOCKET',
    SocketName.agentAdmin,
    '--agent-socket PATH',
    'the workload agent',
  );
}

/** The Workload API's endpoint, as a URI. */
export function workloadApiEndpoint(option: string | undefined): string {
  const found = find(
    option,
    'SPIFFE_ENDPOINT_SOCKET',
    SocketName.workloadApi,
    '--socket PATH',
    'the Workload API',
  );
  return found.startsWith('/') ? `unix://${found}` : found;
}

/** A client of a local socket. */
export function localClient(path: string): GrpcClient {
  return new GrpcClient(`unix:${path}`, credentials.createInsecure(), { 'grpc.enable_http_proxy': 0 });
}

function find(
  option: string | undefined,
  variable: string,
  name: string,
  usage: string,
  what: string,
): string {
  const named = option ?? process.env[variable];
  if (named !== undefined && named !== '') return named;
  const mesh = currentMesh();
  const path = mesh === undefined ? undefined : join(mesh, 'run', name);
  if (path !== undefined && existsSync(path)) return path;
  throw new CliError(`which socket is ${what} on? No mesh of yours is up`, {
    exitCode: ExitCode.usage,
    hint: `give ${usage}, set ${variable}, or start a mesh with \`svid up\``,
  });
}
