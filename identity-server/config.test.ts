import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { parseConfig } from '../daemon/config.ts';
import { identityServerConfigSchema } from './config.ts';

const MINIMAL = 'trust_domain: example.org\ndata_dir: /var/lib/sigil\n';
const parse = (text: string) => parseConfig(identityServerConfigSchema, text, 'server.yaml');

describe('identity-server.yaml', () => {
  test('needs a trust domain and a folder, and has a default for all else', () => {
    expect(parse(MINIMAL)).toEqual({
      trust_domain: 'example.org',
      data_dir: '/var/lib/sigil',
      listen: { address: '0.0.0.0', port: 8081 },
      socket_path: '/var/lib/sigil/api.sock',
      ca_ttl: 86_400_000,
      ca_key_type: 'ec-p256',
      default_x509_svid_ttl: 3_600_000,
      agent_ttl: 3_600_000,
      database: { type: 'sqlite', max_connections: 10 },
      max_staleness: 3_600_000,
      authority_publish_delay: 30_000,
      log_level: 'info',
      admin_ids: [],
      administrators: [],
      audit_log: false,
      default_jwt_svid_ttl: 300_000,
      disable_jwt_svids: false,
      node_attestors: {},
      experimental: { wit_svids: false },
      rate_limits: { attestation: 1, signing: 500, key_publishing: 500, status: 10 },
    });
  });

  test.each([
    ['listen: "[::1]:0"', { listen: { address: '::1', port: 0 } }],
    ['listen: localhost:1', { listen: { address: 'localhost', port: 1 } }],
    ['socket_path: /run/a.sock', { socket_path: '/run/a.sock' }],
    [
      'database: { type: postgres, url: "postgres://sigil@db.example.org/identities" }',
      { database: { type: 'postgres', host: 'db.example.org', user: 'sigil', name: 'identities' } },
    ],
    ['database: { type: mysql, host: db, user: u, name: n, tls: off }', { database: { tls: 'off' } }],
    ['ca_ttl: 1h30m', { ca_ttl: 5_400_000 }],
  ])('reads %s', (line, expected) => {
    expect(parse(MINIMAL + line)).toMatchObject(expected);
  });

  test.each([
    ['listen: 8081', 'server.yaml:3:1: listen: '],
    ['listen: host:99999', 'listen: the port 99999 is larger than 65535'],
    ['database: { type: postgres, host: db }', 'database.user: is needed for type postgres'],
    [
      'database: { type: mysql, host: 10.0.0.1, user: u, name: n }',
      'database.host: must be a name for type mysql, unless tls is off',
    ],
    ['database: { host: db }', 'database.host: does not go with type sqlite'],
    [
      'database: { type: mysql, url: "postgres://a@b/c" }',
      'database.url: must be mysql://user@host:port/name',
    ],
    ['database: { type: postgres, url: "postgres://a:b@c/d" }', 'database.url: must not hold a password'],
    ['database: { type: postgres, url: "postgres://a@c/d", host: e }', 'database.host: is in url already'],
    ['database: { type: postgres, url: "postgres://a@c/d", tls: { cert_file: x } }', 'come together'],
    ['max_staleness: 0s', 'max_staleness: must be at least 1s'],
    ['ca_ttl: 1s', 'ca_ttl: must be at least 30s'],
    ['agent_ttl: 0s', 'agent_ttl: must be at least 1s'],
    ['ca_key_type: dsa', 'server.yaml:3:1: ca_key_type: '],
    ['agent_tll: 1h', 'server.yaml:3:1: unknown key "agent_tll"'],
  ])('refuses %s', (line, message) => {
    expect(() => parse(MINIMAL + line)).toThrow(message);
  });

  test('describes every key for the reference', () => {
    const { properties } = z.toJSONSchema(identityServerConfigSchema, { io: 'input' });
    expect(Object.keys(properties!)).toHaveLength(22);
    for (const [key, schema] of Object.entries(properties!)) {
      expect(`${key}: ${(schema as { description?: string }).description}`).toMatch(/\.$/);
    }
  });
});
