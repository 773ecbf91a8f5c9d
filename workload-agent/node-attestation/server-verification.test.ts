import { describe, expect, test } from 'vitest';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { testAuthority } from '../../test/support/authority.ts';
import { verifyServer } from './server-verification.ts';

const authority = await testAuthority();
const trustDomain = parseTrustDomain('example.org');
const expected = { trustDomain, bundles: authority.bundles };
const chainOf = async (path: string, from = authority, over = {}) =>
  (await from.issue(path, over)).certificates;

describe('the identity server', () => {
  test('passes', async () => {
    verifyServer(await chainOf('/spire/server'), expected);
  });

  test.each([
    ['nothing', async () => [], 'sent no certificate'],
    [
      'a workload',
      () => chainOf('/web'),
      'the peer is spiffe://example.org/web, not spiffe://example.org/spire/server',
    ],
    ['a name that begins alike', () => chainOf('/spire/server/x'), 'not spiffe://example.org/spire/server'],
    [
      'another trust domain',
      async () => chainOf('/spire/server', await testAuthority('evil.test')),
      'trust domain evil.test',
    ],
    [
      'another authority',
      async () => chainOf('/spire/server', await testAuthority()),
      'no authority in this agent',
    ],
    ['an authority itself', async () => [authority.certificate.der], /not an X509-SVID/],
    ['no SPIFFE certificate', async () => [Uint8Array.of(0x30, 0)], 'no SPIFFE ID'],
    [
      'an expired one',
      () => chainOf('/spire/server', authority, { notAfter: Date.now() - 1_000 }),
      'expired',
    ],
  ])('is not %s', async (_what, chain, message) => {
    const sent = await chain();
    expect(() => verifyServer(sent, expected)).toThrow(message);
  });

  test('must have its name even where nothing else is checked', async () => {
    const insecure = { trustDomain, bundles: undefined };
    verifyServer(await chainOf('/spire/server', await testAuthority()), insecure);
    const workload = await chainOf('/web', await testAuthority());
    expect(() => verifyServer(workload, insecure)).toThrow('the peer is');
  });
});
