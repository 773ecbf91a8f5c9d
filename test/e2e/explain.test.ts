// svid explain, as people and programs read it.
import { expect, test } from 'vitest';
import { startTestServer, TRUST_DOMAIN } from '../../identity-server/testing.ts';
import { svid } from '../support/programs.ts';

test('says what matches, and what is missing where something nearly does', async () => {
  await using server = await startTestServer();
  const agent = await server.attest();
  const match = await server.register({ parent: agent.path, path: '/web', selector: 'unix:uid:1000' });
  await server.register({ parent: agent.path, path: '/other', selector: 'unix:uid:1001' });
  const args = ['--socket', server.server.socketPath, '--agent', `spiffe://${TRUST_DOMAIN}${agent.path}`];
  const pretty = await svid(['explain', ...args, '--selector', 'unix:uid:1000']);
  expect(pretty).toMatchObject({ code: 0, stderr: '' });
  expect(pretty.stdout).toContain(`Agent spiffe://${TRUST_DOMAIN}${agent.path}: attested`);
  expect(pretty.stdout).toContain(`Matches 1 entry:\n  spiffe://${TRUST_DOMAIN}/web (entry ${match})`);
  expect(pretty.stdout).toContain('the workload does not show unix:uid:1001 (there is unix:uid:1000)');
  const json = await svid(['explain', ...args, '--selector', 'unix:uid:1000', '--output', 'json']);
  expect(JSON.parse(json.stdout)).toMatchObject({
    matched_count: 1,
    nearly_count: 1,
    matched: [{ id: match }],
  });
  const wrong = await svid(['explain', ...args, '--limit', 'many']);
  expect(wrong).toMatchObject({ code: 2, stdout: '' });
});
