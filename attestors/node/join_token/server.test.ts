import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { nodeAttestorServers } from '../server-catalog.ts';
import { joinTokenAgentPath, joinTokenDigest } from './server.ts';

const TOKEN = 'b1946ac9-2c54-4f0a-8f3a-6d1f0e7c5a11';

function attestorOver(tokens: Map<string, { expiresAt: number }>, now = 0) {
  const take = async (digest: string) => {
    const token = tokens.get(digest);
    tokens.delete(digest);
    return token;
  };
  const attestor = nodeAttestorServers({ joinTokens: { take, now: () => now } }).get('join_token')!;
  return (payload: string) => attestor.attest(Buffer.from(payload)).next();
}

describe('join_token', () => {
  test('takes a token once, without a challenge, and names the node after its digest', async () => {
    const attest = attestorOver(new Map([[joinTokenDigest(TOKEN), { expiresAt: 10 }]]));
    const digest = createHash('sha256').update(TOKEN).digest('hex');
    expect(await attest(TOKEN)).toEqual({
      done: true,
      value: {
        agentPath: `/spire/agent/join_token/${digest.slice(0, 32)}`,
        selectors: [],
        canReattest: false,
      },
    });
    expect(joinTokenAgentPath(digest)).not.toContain(TOKEN);
    await expect(attest(TOKEN)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  test('burns an expired token', async () => {
    const tokens = new Map([[joinTokenDigest(TOKEN), { expiresAt: 10 }]]);
    await expect(attestorOver(tokens, 10_000)(TOKEN)).rejects.toThrow('join token expired');
    expect(tokens.size).toBe(0);
  });

  test('says nothing of the token in what it throws, and does not look up what is too long', async () => {
    const huge = 'x'.repeat(1_025);
    const attest = attestorOver(new Map([[joinTokenDigest(huge), { expiresAt: 10 }]]));
    for (const token of [TOKEN, huge]) {
      const error = await attest(token).catch((thrown: unknown) => thrown);
      expect((error as Error).message).toBe(
        'failed to attest: join token does not exist or has already been used',
      );
    }
  });
});
