import { expect, test } from 'vitest';
import { failureText, withoutToken } from './failure-text.ts';

test('says the cause, the same each time', () => {
  const details =
    'No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1 (2026-11-20T15:22:50.867Z). Resolution note: ';
  expect(failureText(Object.assign(new Error('14 UNAVAILABLE'), { details }))).toBe(
    'connect ECONNREFUSED 127.0.0.1:1',
  );
  expect(failureText(new Error('plain'))).toBe('plain');
});

test('a spent join token in an agent’s ID is not said', () => {
  const token = '602e68a5-e54b-49e1-888f-690e573191dd';
  const id = `agent "spiffe://example.org/spire/agent/join_token/${token}" is banned`;
  expect(withoutToken(id)).toBe('agent "spiffe://example.org/spire/agent/join_token/602e..." is banned');
  const digest = 'spiffe://example.org/spire/agent/join_token/d85637c9448b2499118f2fe0f1293254';
  expect(withoutToken(digest)).toBe(digest);
});
