// Proves a node by a join token: a secret that the server made, good for one attestation. It is read from a file or
// from standard input, never from an argument list, and is kept no longer than an attempt.
import { Buffer } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import type { NodeAttestorAgent } from '../node-attestor-agent.ts';

/** Options of {@link createJoinTokenAgent}. */
export interface JoinTokenAgentOptions {
  /** The file with the token. It is read for each attempt, so that a new token counts at once. */
  readonly file: string;
  /** Reads the token elsewhere than from the file: standard input, which can be read once. */
  readonly readToken?: () => Promise<string>;
}

const MAX_TOKEN_BYTES = 1_024;

export function createJoinTokenAgent(options: JoinTokenAgentOptions): NodeAttestorAgent {
  return {
    name: 'join_token',
    renewal: {
      kind: 'manual',
      advice: `a join token is good for one attestation: create a new one on the server and write it to ${options.file}`,
    },
    async begin() {
      const token = (await (options.readToken ?? (() => readTokenFile(options.file)))()).trim();
      // No part of it may get into the message, not even when the file is a wrong one.
      if (token === '' || token.length > MAX_TOKEN_BYTES || !/^[\x21-\x7e]+$/.test(token)) {
        throw new Error(`${options.file} holds no join token: one line of printable characters is expected`);
      }
      return { payload: new Uint8Array(Buffer.from(token, 'utf8')) };
    },
  };
}

async function readTokenFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(`the join token cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
