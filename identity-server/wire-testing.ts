// For tests only: a server, and clients of each class that speak to it by field numbers.
import { status, type ServiceError } from '@grpc/grpc-js';
import { generateKeyPairSync } from 'node:crypto';
import { createCsr } from '../sdk/x509-svid/csr.ts';
import type { Fields, Message } from '../test/support/protobuf.ts';
import { rawLocalClient, rawTlsClient, type RawClient } from '../test/support/raw-client.ts';
import { startTestServer, TRUST_DOMAIN, type TestIdentity, type TestServer } from './testing.ts';

/** Beginnings of paths, as the facts have them. */
export const Path = {
  agent: '/spire.api.server.agent.v1.Agent',
  bundle: '/spire.api.server.bundle.v1.Bundle',
  entry: '/spire.api.server.entry.v1.Entry',
  svid: '/spire.api.server.svid.v1.SVID',
  trustDomain: '/spire.api.server.trustdomain.v1.TrustDomain',
  localAuthority: '/spire.api.server.localauthority.v1.LocalAuthority',
  logger: '/spire.api.server.logger.v1.Logger',
  debug: '/spire.api.server.debug.v1.Debug',
  health: '/grpc.health.v1.Health',
} as const;

export const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const spki = newKey().publicKey.export({ type: 'spki', format: 'der' });
/** SPIFFEID: trust_domain = 1, path = 2. */
export const id = (path: string, trustDomain = TRUST_DOMAIN): Message => ({ 1: trustDomain, 2: path });
/** Selector: type = 1, value = 2. */
export const selector = (type: string, value: string): Message => ({ 1: type, 2: value });
export const idText = (fields: Fields) => `spiffe://${fields.text(1)}${fields.text(2)}`;
/** Messages that are no SPIFFE ID. */
export const NOT_SPIFFE: readonly Message[] = [
  id(''),
  id('web'),
  id('/a//b'),
  id('/a/../b'),
  id('/a/'),
  id('/ä'),
  id('/x', ''),
  id('/x', 'EXAMPLE.org'),
];
/** The status of an item of a batch: code and message. */
export const statusOf = (result: Fields) => `${result.message(1).number(1)} ${result.message(1).text(2)}`;

/** `NAME: message` of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'OK';
  } catch (error) {
    const { code, details } = error as ServiceError;
    return `${status[code]}: ${details}`;
  }
}

/** A server with one client of each class that these tests need. */
export interface WireBench extends AsyncDisposable {
  readonly server: TestServer;
  readonly local: RawClient;
  /** Its agent has the alias `/cluster`. */
  readonly agent: RawClient;
  readonly agentPath: string;
  /** A server below: a downstream workload. */
  readonly below: RawClient;
  connect(identity: TestIdentity): Promise<RawClient>;
}

export async function startWireBench(): Promise<WireBench> {
  const server = await startTestServer({ config: { experimental: { wit_svids: true } } });
  const local = rawLocalClient(server.server.socketPath);
  const clients = [local];
  const connect = async (identity?: TestIdentity) => {
    const roots = (await local.call(`${Path.bundle}/GetBundle`, {})).messages(2).map((root) => root.bytes(1));
    const client = rawTlsClient(server.server.port, roots, identity);
    clients.push(client);
    return client;
  };
  const agent = await attestByNumbers(local, await connect());
  return {
    server,
    local,
    agent: await connect(agent),
    agentPath: agent.path,
    below: await connect(await server.issue(agent, '/below', { downstream: true })),
    connect,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

async function attestByNumbers(local: RawClient, anonymous: RawClient) {
  const token = await local.call(`${Path.agent}/CreateJoinToken`, { 1: 600, 3: id('/cluster') });
  const { privateKey } = newKey();
  const params = { 1: { 1: 'join_token', 2: token.text(1) }, 2: { 1: createCsr(privateKey) } };
  const [answer] = await anonymous.stream(`${Path.agent}/AttestAgent`, [{ 1: params }]);
  // AttestAgentResponse.result = 1, Result.svid = 1.
  const svid = answer!.message(1).message(1);
  return { privateKey, chain: svid.all(1), path: svid.message(2).text(2) };
}
