import { describe, expect, test } from 'vitest';
import { parseTrustDomain, type SpiffeId } from '../../sdk/spiffe-id.ts';
import { validateEntry, type EntryFields } from './validate.ts';

const trustDomain = parseTrustDomain('example.org');
const id = (text: string) => text as SpiffeId;
const good: EntryFields = {
  id: '',
  spiffeId: id('spiffe://example.org/web'),
  parentId: id('spiffe://example.org/spire/server'),
  selectors: [{ type: 'unix', value: 'uid:1' }],
  x509SvidTtl: 0,
  jwtSvidTtl: 0,
  expiresAt: 0,
  dnsNames: [],
  storeSvid: false,
  hint: '',
  disableX509SvidPrefetch: false,
};

describe('validateEntry', () => {
  test.each<Partial<EntryFields>>([
    {},
    { id: 'a-B.c_9' },
    { spiffeId: id('spiffe://example.org/spirelike') },
    { parentId: id('spiffe://example.org/spire/agent/join_token/x') },
    { dnsNames: ['a', 'a.b-c.example', '*.example.org', 'a.b.example.org', 'example.org'] },
    { hint: 'x'.repeat(1_024) },
    { storeSvid: true },
  ])('accepts %j', (over) => {
    expect(() => validateEntry({ ...good, ...over }, trustDomain)).not.toThrow();
  });

  test.each<[Partial<EntryFields>, RegExp]>([
    [{ id: 'a b' }, /entry ID contains invalid characters/],
    [{ id: 'x'.repeat(256) }, /entry ID is longer than 255/],
    [{ spiffeId: id('spiffe://example.org') }, /path is empty/],
    [{ spiffeId: id('spiffe://example.org/spire') }, /reserved namespace/],
    [{ spiffeId: id('spiffe://example.org/spire/server') }, /reserved namespace/],
    [{ spiffeId: id('spiffe://other.org/web') }, /not a member of trust domain "example.org"/],
    [{ parentId: id('spiffe://other.org/web') }, /invalid parent ID/],
    [{ parentId: id('spiffe://example.org') }, /invalid parent ID/],
    [{ selectors: [] }, /selector list is empty/],
    [{ selectors: [{ type: '', value: 'x' }] }, /missing selector type/],
    [{ selectors: [{ type: 'a:b', value: 'x' }] }, /selector type contains ':'/],
    [{ selectors: [{ type: 'a', value: '' }] }, /missing selector value/],
    [{ x509SvidTtl: -1 }, /X509SVID TTL/],
    [{ jwtSvidTtl: -1 }, /JWTSVID TTL/],
    [{ expiresAt: -1 }, /expiry/],
    [{ expiresAt: Number(2n ** 63n - 1n) }, /expiry is after the year 9999/],
    [{ hint: 'é'.repeat(513) }, /hint is too long/],
    [{ dnsNames: [''] }, /invalid DNS name/],
    [{ dnsNames: ['a..b'] }, /invalid DNS name/],
    [{ dnsNames: ['-a.b'] }, /invalid DNS name/],
    [{ dnsNames: ['a.*.b'] }, /invalid DNS name/],
    [{ dnsNames: ['*'] }, /invalid DNS name/],
    [{ dnsNames: ['bücher.example'] }, /invalid DNS name/],
    [{ dnsNames: [`${'x'.repeat(64)}.example`] }, /invalid DNS name/],
    [{ dnsNames: ['*.example.org', 'a.Example.org'] }, /overlaps/],
    [
      {
        storeSvid: true,
        selectors: [
          { type: 'a', value: '1' },
          { type: 'b', value: '1' },
        ],
      },
      /selector types must be the same when store SVID is enabled/,
    ],
    [{ storeSvid: true, disableX509SvidPrefetch: true }, /prefetch/],
  ])('refuses %j', (over, message) => {
    expect(() => validateEntry({ ...good, ...over }, trustDomain)).toThrow(message);
  });
});
