// What an agent knows of itself: its SVID, its key, and the bundle it trusts. Pure.
import { Buffer } from 'node:buffer';
import { z } from 'zod';
import { parseX509Bundle, type X509Bundle } from '../../sdk/bundle/x509-bundle.ts';
import { isMemberOf, type TrustDomain } from '../../sdk/spiffe-id.ts';
import { parseX509Svid, type X509Svid } from '../../sdk/x509-svid/x509-svid.ts';

/** An agent's identity and what it trusts. */
export interface AgentState {
  readonly svid: X509Svid;
  readonly bundle: X509Bundle;
  /** Whether the server lets this agent attest again by the same means. */
  readonly reattestable: boolean;
}

const stateSchema = z.strictObject({
  version: z.literal(1),
  trust_domain: z.string(),
  reattestable: z.boolean(),
  svid: z.base64(),
  svid_key: z.base64(),
  bundle: z.base64(),
});

/** The text of the state file. It holds a private key: the file's mode is its protection. */
export function serializeAgentState(state: AgentState): string {
  const document: z.infer<typeof stateSchema> = {
    version: 1,
    trust_domain: state.bundle.trustDomain,
    reattestable: state.reattestable,
    svid: base64(...state.svid.certificates),
    svid_key: base64(state.svid.privateKey),
    bundle: base64(...state.bundle.authorities.map(({ der }) => der)),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/**
 * Reads the state file of an agent of a trust domain.
 *
 * @throws Error that says what is wrong with it, without any of its content.
 */
export function parseAgentState(text: string, trustDomain: TrustDomain): AgentState {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error('it is not JSON');
  }
  const parsed = stateSchema.safeParse(json);
  if (!parsed.success) throw new Error('it does not have the form of version 1');
  const state = parsed.data;
  if (state.trust_domain !== trustDomain) {
    throw new Error(`it is of the trust domain ${JSON.stringify(state.trust_domain)}, not ${trustDomain}`);
  }
  const svid = parseX509Svid(bytes(state.svid), bytes(state.svid_key));
  if (!isMemberOf(svid.id, trustDomain)) throw new Error(`its SVID ${svid.id} is not of ${trustDomain}`);
  return {
    svid,
    bundle: parseX509Bundle(state.trust_domain, bytes(state.bundle)),
    reattestable: state.reattestable,
  };
}

function base64(...parts: Uint8Array[]): string {
  return Buffer.concat(parts).toString('base64');
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
