// AttestAgent: a node proves what it is, and becomes an agent with an SVID.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { messageOf } from '../../sdk/error.ts';
import type {
  AttestAgentRequest,
  AttestAgentRequest_Params,
  AttestAgentResponseSchema,
} from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import { spiffeIdOf } from '../../sdk/spiffe-id.ts';
import { serverIdOf } from '../ca/server-svid.ts';
import { isBanned } from '../entry/filter.ts';
import { selectorKey } from '../entry/similarity.ts';
import type { AttestedNode, NewNode } from '../store/store.ts';
import { noteForAudit, type Context } from './caller.ts';
import { svidMessage } from './convert.ts';
import { publicKeyInfoOfCsr } from './csr.ts';
import type { ServiceOptions } from './services.ts';

type Response = MessageInitShape<typeof AttestAgentResponseSchema>;

// Anybody may call this: who opens a stream and says nothing is not waited for.
const STEP_TIMEOUT = 30_000;

export async function* attestAgent(
  requests: AsyncIterable<AttestAgentRequest>,
  context: Context,
  options: ServiceOptions,
): AsyncGenerator<Response, void, undefined> {
  const { trustDomain, registry, store, ca, log } = options;
  const steps = requests[Symbol.asyncIterator]();
  const { type, payload, csr } = paramsOf(await nextStep(steps));
  noteForAudit(context, { node_attestor_type: type.slice(0, 64) });
  const attestor = options.nodeAttestors.get(type);
  if (attestor === undefined) {
    throw new RpcError('FAILED_PRECONDITION', `error getting node attestor: unknown type ${quoted(type)}`);
  }
  // Before the proof: a bad CSR must not burn a token.
  const publicKeyInfo = csrKeyOf(csr, options);

  const address = context.caller.kind === 'tls' ? context.caller.address : undefined;
  const attestation = attestor.attest(payload, address === undefined ? undefined : { address });
  let step = await attestation.next();
  while (step.done !== true) {
    yield { step: { case: 'challenge', value: step.value } };
    step = await attestation.next(challengeResponseOf(await nextStep(steps)));
  }
  const { agentPath, selectors, canReattest } = step.value;
  const id = spiffeIdOf(trustDomain, agentPath);
  if (id === serverIdOf(trustDomain)) throw new Error(`the attestor ${type} gave a node the server's own ID`);
  noteForAudit(context, { agent_id: id });
  const svid = await ca.signX509({ id, publicKeyInfo, ttl: options.agentTtl });
  const node: NewNode = {
    id,
    attestationType: type,
    serial: svid.serial,
    notAfter: svid.notAfter,
    newSerial: '',
    newNotAfter: 0,
    selectors: [...new Map(selectors.map((selector) => [selectorKey(selector), selector])).values()],
    canReattest,
    agentVersion: registry.node(id)?.agentVersion ?? '',
  };
  await store.putNode(node, expectNotBanned);
  await registry.catchUp();
  log.info(
    { agent_id: id, attestor: type, serial: svid.serial, address: address ?? 'local' },
    'a node attested',
  );
  yield { step: { case: 'result', value: { svid: svidMessage(svid), reattestable: canReattest } } };
}

function expectNotBanned(node: AttestedNode | undefined): void {
  if (node !== undefined && isBanned(node)) {
    throw new RpcError('PERMISSION_DENIED', 'failed to attest: agent is banned');
  }
}

async function nextStep(steps: AsyncIterator<AttestAgentRequest>): Promise<AttestAgentRequest> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new RpcError('DEADLINE_EXCEEDED', 'the node did not answer in time')),
      STEP_TIMEOUT,
    );
  });
  try {
    const { done, value } = await Promise.race([steps.next(), late]);
    if (done === true)
      throw new RpcError('INVALID_ARGUMENT', 'the stream ended before attestation was complete');
    return value;
  } finally {
    clearTimeout(timer);
  }
}

function paramsOf({ step }: AttestAgentRequest): { type: string; payload: Uint8Array; csr: Uint8Array } {
  const problem = problemOf(step.case === 'params' ? step.value : undefined);
  if (problem !== undefined) throw new RpcError('INVALID_ARGUMENT', `malformed param: ${problem}`);
  const { data, params } = step.value as AttestAgentRequest_Params;
  return { type: data!.type, payload: data!.payload, csr: params!.csr };
}

function problemOf(params: AttestAgentRequest_Params | undefined): string | undefined {
  if (params === undefined) return 'missing params';
  if (params.data === undefined) return 'missing attestation data';
  if (params.params === undefined) return 'missing X509-SVID parameters';
  if (params.params.csr.length === 0) return 'missing CSR';
  if (params.data.type === '') return 'missing attestation data type';
  if (params.data.payload.length === 0) return 'missing attestation data payload';
  return undefined;
}

function challengeResponseOf({ step }: AttestAgentRequest): Uint8Array {
  if (step.case === 'challengeResponse') return step.value;
  throw new RpcError('INVALID_ARGUMENT', 'expected a challenge response');
}

/** The key of a CSR; a CSR that cannot be used is the caller's mistake. */
export function csrKeyOf(csr: Uint8Array, { trustDomain }: Pick<ServiceOptions, 'trustDomain'>): Uint8Array {
  try {
    return publicKeyInfoOfCsr(csr, trustDomain);
  } catch (error) {
    throw new RpcError('INVALID_ARGUMENT', messageOf(error));
  }
}

// What a stranger sent is repeated only as far as it helps.
function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 64));
}
