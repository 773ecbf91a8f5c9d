import { expect, test } from 'vitest';
import { startTestServer } from '../testing.ts';

test('a node attests with a token', async () => {
  await using server = await startTestServer();
  const agent = await server.attest();
  expect(agent.path).toMatch(/^\/spire\/agent\/join_token\/[0-9a-f]{32}$/);
});
