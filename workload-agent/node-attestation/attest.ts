// What an agent asks of the server for itself: AttestAgent, as nobody, and RenewAgent and PostStatus, as itself.
import { generatePrivateKey } from '../../daemon/key-manager/local-key.ts';
import type { NodeAttestation, NodeAttestorAgent } from '../../attestors/node/node-attestor-agent.ts';
import { Agent, type AttestAgentResponse } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import type { X509SVID } from '../../sdk/api/gen/spire/api/types/x509svid_pb.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import { isMemberOf, type TrustDomain } from '../../sdk/spiffe-id.ts';
import { createCsr } from '../../sdk/x509-svid/csr.ts';
import { parseX509Svid, type X509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import { Buffer } from 'node:buffer';
import { VERSION } from '../../daemon/version.ts';
import { failureText } from './failure-text.ts';
import { RPC_TIMEOUT } from './server-connection.ts';

/** An SVID that the server gave this agent. */
export interface AgentSvid {
  readonly svid: X509Svid;
  readonly reattestable: boolean;
}

// Challenge and response may take turns; a server that never ends must not hold us.
const MAX_STEPS = 10;

/** Proves the node. The connection must be anonymous. */
export async function attestAgent(
  client: GrpcClient,
  attestor: NodeAttestorAgent,
  trustDomain: TrustDomain,
  signal: AbortSignal,
): Promise<AgentSvid> {
  const attestation = await attestor.begin();
  try {
    return await exchange(client, attestor.name, attestation, trustDomain, signal);
  } catch (error) {
    throw withoutProof(error, attestation);
  }
}

async function exchange(
  client: GrpcClient,
  type: string,
  attestation: NodeAttestation,
  trustDomain: TrustDomain,
  signal: AbortSignal,
): Promise<AgentSvid> {
  const { csr, privateKey } = await newRequest();
  const stream = client.bidiStream(Agent.method.attestAgent, { timeout: RPC_TIMEOUT, signal });
  const data = { type, payload: attestation.payload };
  stream.send({ step: { case: 'params', value: { data, params: { csr } } } });
  let steps = 0;
  for await (const { step } of stream.messages) {
    if (step.case === 'result') {
      stream.close();
      return {
        svid: readSvid(svidOf(step.value), privateKey, trustDomain),
        reattestable: step.value.reattestable,
      };
    }
    if (step.case !== 'challenge' || attestation.answer === undefined || ++steps > MAX_STEPS) {
      throw new Error(`the server asked for a step that ${type} does not have`);
    }
    const value = await attestation.answer(step.value);
    stream.send({ step: { case: 'challengeResponse', value } });
  }
  throw new Error('the server ended the attestation without a result');
}

// A server may echo what it was sent; that must not reach our log.
function withoutProof(error: unknown, { payload }: NodeAttestation): unknown {
  const text = failureText(error);
  const proof = Buffer.from(payload).toString('utf8');
  return proof !== '' && text.includes(proof) ? new Error(text.replaceAll(proof, '[secret]')) : error;
}

/** Renews the agent's SVID, with a new key. The old one stays good until the new one is first used. */
export async function renewAgent(
  client: GrpcClient,
  trustDomain: TrustDomain,
  signal: AbortSignal,
): Promise<X509Svid> {
  const { csr, privateKey } = await newRequest();
  const { svid } = await client.unary(
    Agent.method.renewAgent,
    { params: { csr } },
    { timeout: RPC_TIMEOUT, signal },
  );
  if (svid === undefined) throw new Error('the server answered the renewal without an SVID');
  return readSvid(svid, privateKey, trustDomain);
}

/** Tells the server which software this agent is; operators see it in their listings. */
export async function reportVersion(client: GrpcClient, signal: AbortSignal): Promise<void> {
  const agentVersion = `sigil ${VERSION}`;
  await client.unary(Agent.method.postStatus, { agentVersion }, { timeout: RPC_TIMEOUT, signal });
}

function svidOf(result: Extract<AttestAgentResponse['step'], { case: 'result' }>['value']): X509SVID {
  if (result.svid === undefined) throw new Error('the server answered the attestation without an SVID');
  return result.svid;
}

function readSvid(message: X509SVID, privateKey: Uint8Array, trustDomain: TrustDomain): X509Svid {
  const svid = parseX509Svid(new Uint8Array(Buffer.concat(message.certChain)), privateKey);
  if (!isMemberOf(svid.id, trustDomain)) {
    throw new Error(`the server gave this agent the ID ${svid.id}, which is not of ${trustDomain}`);
  }
  return svid;
}

async function newRequest(): Promise<{ csr: Uint8Array; privateKey: Uint8Array }> {
  const key = await generatePrivateKey('ec-p256');
  return { csr: createCsr(key), privateKey: new Uint8Array(key.export({ type: 'pkcs8', format: 'der' })) };
}
