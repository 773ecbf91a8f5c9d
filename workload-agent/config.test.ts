import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { parseConfig } from '../daemon/config.ts';
import { agentPaths, workloadAgentConfigSchema } from './config.ts';

const GOOD = `trust_domain: example.org
data_dir: /var/lib/agent
server: 127.0.0.1:8081
trust_bundle_file: /etc/bundle.pem
`;
const read = (text: string) => parseConfig(workloadAgentConfigSchema, text, 'agent.yaml');

describe('the configuration', () => {
  test('has defaults', () => {
    const config = read(GOOD);
    expect(config).toMatchObject({
      sync_interval: 5_000,
      workload_x509_svid_key_type: 'ec-p256',
      unix: { sha256: false },
      launchers: [],
      log_level: 'info',
    });
    expect(agentPaths(config)).toEqual({
      state: '/var/lib/agent/agent-state.json',
      workloadSocket: '/var/lib/agent/public/api.sock',
      adminSocket: '/var/lib/agent/private/admin.sock',
    });
  });

  test.each([
    [
      'nothing to bootstrap by',
      GOOD.replace(/trust_bundle_file.*\n/, ''),
      'exactly one of trust_bundle_file and insecure_bootstrap',
    ],
    [
      'two bootstraps',
      `${GOOD}insecure_bootstrap: true\n`,
      'agent.yaml:4:1: trust_bundle_file: exactly one of',
    ],
    ['insecure_bootstrap: false', `${GOOD}insecure_bootstrap: false\n`, 'insecure_bootstrap'],
    ['an unknown key', `${GOOD}join_token: abc\n`, 'agent.yaml:5:1: unknown key "join_token"'],
    ['no port', GOOD.replace(':8081', ''), 'agent.yaml:3:1: server: must be address:port'],
    ['a port too high', GOOD.replace('8081', '70000'), 'at most 65535'],
    [
      'a bad trust domain',
      GOOD.replace('example.org', 'Example.org'),
      'agent.yaml:1:1: trust_domain: trust domain',
    ],
    ['a sync interval of nothing', `${GOOD}sync_interval: 0s\n`, 'at least 100ms'],
    ['a launcher with a bad name', `${GOOD}launchers: [{uid: 1, names: ['a b']}]\n`, 'must match'],
    ['an unknown key type', `${GOOD}workload_x509_svid_key_type: dsa\n`, 'ec-p256'],
  ])('is refused with %s, and the place is named', (_what, text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  test('every key is described', () => {
    const schema = z.toJSONSchema(workloadAgentConfigSchema, { io: 'input' });
    for (const [key, value] of Object.entries(schema.properties!)) {
      expect([key, (value as { description?: string }).description?.length ?? 0]).not.toEqual([key, 0]);
    }
  });
});
