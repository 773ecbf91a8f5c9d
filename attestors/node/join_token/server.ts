// join_token: a secret that the server gave out once, and takes once. The server knows its digest only.
import { createHash } from 'node:crypto';
import { RpcError } from '../../../daemon/grpc/rpc-error.ts';
import type { NodeAttestorServer } from '../node-attestor-server.ts';

/** Options of {@link joinTokenAttestor}. */
export interface JoinTokenAttestorOptions {
  /** Removes the token with a digest and returns it: a token is burnt by its first use, also when that fails. */
  readonly take: (digest: string) => Promise<{ readonly expiresAt: number } | undefined>;
  readonly now?: () => number;
}

export const JOIN_TOKEN = 'join_token';
/** The beginning of the paths of agents that joined by a token. */
export const JOIN_TOKEN_PATH = '/spire/agent/join_token/';
/** Longer texts are no tokens of ours. */
export const MAX_JOIN_TOKEN_BYTES = 1_024;

/** The name under which a token is kept: SHA-256, hexadecimal. */
export function joinTokenDigest(token: string | Uint8Array): string {
  return createHash('sha256').update(token).digest('hex');
}

/** The path of the agent that joins with the token of a digest. It tells nothing of the token (decision 003). */
export function joinTokenAgentPath(digest: string): string {
  return JOIN_TOKEN_PATH + digest.slice(0, 32);
}

export function joinTokenAttestor(options: JoinTokenAttestorOptions): NodeAttestorServer {
  const now = options.now ?? Date.now;
  return {
    type: JOIN_TOKEN,
    // eslint-disable-next-line require-yield -- a token is its own proof: there is no challenge
    async *attest(payload) {
      const digest = joinTokenDigest(payload);
      const token = payload.length > MAX_JOIN_TOKEN_BYTES ? undefined : await options.take(digest);
      if (token === undefined) {
        throw new RpcError(
          'INVALID_ARGUMENT',
          'failed to attest: join token does not exist or has already been used',
        );
      }
      if (now() >= token.expiresAt * 1_000) throw new RpcError('INVALID_ARGUMENT', 'join token expired');
      return { agentPath: joinTokenAgentPath(digest), selectors: [], canReattest: false };
    },
  };
}
