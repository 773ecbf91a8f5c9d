// What a person sees: identities, calls, where the logs are, what to try next.
import { connect } from 'node:tls';
import { Agent } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { parseCertificate, type Certificate } from '../../sdk/x509-svid/certificate.ts';
import { join } from 'node:path';
import { localClient, SocketName } from '../endpoints.ts';
import { table, timeOf } from '../output.ts';
import { idText } from '../wire.ts';
import type { CallOutcome } from './calls.ts';
import type { CheckResult } from './check.ts';
import type { Mesh } from './mesh.ts';
import { PROXIES, type MeshPlan } from './plan.ts';

/** An identity of the mesh. */
export interface IdentityLine {
  readonly id: string;
  readonly holder: string;
  readonly serial: string;
  readonly expires: string;
}

/** All identities: the server's, the agent's, the proxies'. */
export async function identitiesOf(mesh: Mesh): Promise<IdentityLine[]> {
  const [server, agents, ...proxies] = await Promise.all([
    serverCertificate(mesh.plan.ports.server),
    agentLines(mesh.plan),
    ...PROXIES.map((proxy) => mesh.identityOf(proxy)),
  ]);
  return [
    {
      id: server.extensions.subjectAltName?.uris[0] ?? '',
      holder: 'identity-server',
      serial: server.serial,
      expires: new Date(server.notAfter).toISOString(),
    },
    ...agents,
    ...proxies.flatMap((identity, index) =>
      identity === undefined
        ? []
        : [
            {
              id: identity.id,
              holder: `${PROXIES[index]!.name}-proxy on ${identity.runtime}`,
              serial: identity.serial,
              expires: identity.not_after,
            },
          ],
    ),
  ];
}

async function agentLines(plan: MeshPlan): Promise<IdentityLine[]> {
  using client = localClient(join(plan.run, SocketName.server));
  const { agents } = await client.unary(Agent.method.listAgents, {});
  return agents.map((agent) => ({
    id: idText(agent.id),
    holder: 'workload-agent',
    serial: BigInt(agent.x509svidSerialNumber || '0').toString(16),
    expires: timeOf(agent.x509svidExpiresAt),
  }));
}

// Read from a handshake, as any client would see it. Nothing is trusted here: it is only shown.
function serverCertificate(port: number): Promise<Certificate> {
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: '127.0.0.1', port, rejectUnauthorized: false, ALPNProtocols: ['h2'] },
      () => {
        const { raw } = socket.getPeerCertificate();
        socket.destroy();
        resolve(parseCertificate(new Uint8Array(raw)));
      },
    );
    socket.on('error', reject);
  });
}

/** Styles for a terminal; plain elsewhere. */
export interface Style {
  bold(text: string): string;
  green(text: string): string;
  red(text: string): string;
}

export function styleFor(terminal: boolean): Style {
  const paint = (code: number) => (text: string) => (terminal ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { bold: paint(1), green: paint(32), red: paint(31) };
}

export function identitiesText(identities: readonly IdentityLine[]): string {
  return table([
    ['IDENTITY', 'HELD BY', 'SERIAL', 'EXPIRES'],
    ...identities.map(({ id, holder, serial, expires }) => [id, holder, serial.slice(0, 16), clock(expires)]),
  ]);
}

export function callsText(calls: readonly CallOutcome[]): string {
  return table([
    ['CALL', 'REQUEST', 'OUTCOME', 'DECIDED BY', 'REQUEST ID'],
    ...calls.map(({ call, request, status, decidedBy, requestId }) => [
      call,
      request,
      `${status} ${status === 200 ? 'allowed' : status === 403 ? 'refused' : 'failed'}`,
      decidedBy,
      requestId,
    ]),
  ]);
}

export function checksText(results: readonly CheckResult[], style: Style): string {
  return results
    .map(({ ok, name, detail }) => `${ok ? style.green('ok  ') : style.red('FAIL')} ${name}: ${detail}\n`)
    .join('');
}

/** Four commands to try, and what they show. */
export function nextSteps(plan: MeshPlan): string {
  return table([
    [`  curl -i http://127.0.0.1:${plan.ports.web}/orders/42`, 'web calls orders, orders calls payments'],
    ['  npm run -s svid -- entry list', 'who may be what'],
    ['  npm run -s svid -- x509 fetch', 'refused: nobody vouches for your shell'],
    [`  tail -f ${plan.logs}/payments-proxy.log`, 'every decision, with its rule'],
  ]);
}

function clock(iso: string): string {
  const seconds = Math.round((Date.parse(iso) - Date.now()) / 1_000);
  const left = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  return `${iso.slice(11, 19)} UTC (in ${left})`;
}
