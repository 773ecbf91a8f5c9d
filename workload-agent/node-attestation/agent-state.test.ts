import { describe, expect, test } from 'vitest';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { testAuthority } from '../../test/support/authority.ts';
import { parseAgentState, serializeAgentState } from './agent-state.ts';

const authority = await testAuthority();
const trustDomain = parseTrustDomain('example.org');
const state = {
  svid: await authority.issue('/spire/agent/join_token/x'),
  bundle: authority.bundles.x509Bundle(trustDomain)!,
  reattestable: true,
};
const text = serializeAgentState(state);

describe('the state of an agent', () => {
  test('comes back as it was', () => {
    const read = parseAgentState(text, trustDomain);
    expect(read.svid.id).toBe(state.svid.id);
    expect(read.svid.serial).toBe(state.svid.serial);
    expect(read.reattestable).toBe(true);
    expect(read.bundle.authorities.map(({ serial }) => serial)).toEqual([authority.certificate.serial]);
  });

  test('is refused with any part of it missing, and the message holds nothing of it', () => {
    for (let length = 0; length < text.length - 2; length += 7) {
      let message = '';
      try {
        parseAgentState(text.slice(0, length), trustDomain);
      } catch (error) {
        ({ message } = error as Error);
      }
      expect(message).not.toBe('');
      expect(message.length).toBeLessThan(200);
    }
  });

  test.each([
    [
      'of another trust domain',
      () => parseAgentState(text, parseTrustDomain('other.test')),
      'not other.test',
    ],
    [
      'of a later version',
      () => parseAgentState(text.replace('"version": 1', '"version": 2'), trustDomain),
      'version 1',
    ],
    [
      'with an unknown member',
      () => parseAgentState(text.replace('{', '{"extra": 1,'), trustDomain),
      'version 1',
    ],
    [
      'with the key of another SVID',
      async () => {
        const other = await authority.issue('/spire/agent/join_token/y');
        return parseAgentState(
          serializeAgentState({ ...state, svid: { ...state.svid, privateKey: other.privateKey } }),
          trustDomain,
        );
      },
      'private key is not that',
    ],
  ])('is refused %s', async (_what, read, message) => {
    await expect((async () => read())()).rejects.toThrow(message);
  });
});
