import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseSpiffeId, parseTrustDomain } from '../../sdk/spiffe-id.ts';
import type { IssuedX509Svid, WorkloadEntry } from './entry.ts';
import { indexEntries, withUniqueHints } from './matching.ts';
import { SvidCache } from './svid-cache.ts';

const trustDomain = parseTrustDomain('example.org');
const entry = (id: string, over: Partial<WorkloadEntry> = {}): WorkloadEntry => ({
  id,
  spiffeId: parseSpiffeId(`spiffe://example.org/${id}`),
  selectors: ['a'],
  federatesWith: [],
  hint: '',
  revision: 0n,
  createdAt: 1n,
  storeSvid: false,
  ...over,
});
const svid = (id: string, over: Partial<IssuedX509Svid> = {}): IssuedX509Svid => ({
  entryId: id,
  spiffeId: parseSpiffeId(`spiffe://example.org/${id}`),
  revision: 0n,
  createdAt: 1n,
  certificates: Uint8Array.of(1),
  privateKey: Uint8Array.of(2),
  serial: '1',
  authority: 'aa',
  notAfter: 1_000,
  renewAt: 500,
  ...over,
});
const byId = (...entries: WorkloadEntry[]) => new Map(entries.map((each) => [each.id, each]));
const bundles = {
  trustDomain,
  own: Uint8Array.of(3),
  untainted: new Set(['aa', 'bb']),
  federated: new Map(),
};
const selectors = new Set(['a', 'b']);

describe('matching', () => {
  test('finds exactly the entries whose every selector the workload has, lowest id first', () => {
    const word = fc.constantFrom<string[]>('a', 'b', 'c', 'd', 'e');
    fc.assert(
      fc.property(
        fc.array(fc.uniqueArray(word, { maxLength: 4 }), { maxLength: 20 }),
        fc.uniqueArray(word),
        (all, own) => {
          const entries = all.map((wanted, index) => entry(`e${index}`, { selectors: wanted }));
          const expected = entries
            .filter(
              ({ selectors: wanted }) => wanted.length > 0 && wanted.every((each) => own.includes(each)),
            )
            .map(({ id }) => id)
            .sort();
          const found = indexEntries(entries).match(new Set(own));
          expect(found.map(({ id }) => id)).toEqual(expected);
        },
      ),
    );
  });

  test('a hint is given once: to the oldest entry, then to the lowest id; empty hints are no duplicates', () => {
    const entries = [
      entry('1', { hint: 'x', createdAt: 5n }),
      entry('2', { hint: 'x', createdAt: 3n }),
      entry('3', { hint: 'x', createdAt: 3n }),
      entry('4'),
      entry('5'),
    ];
    expect(withUniqueHints(entries).map(({ id }) => id)).toEqual(['2', '4', '5']);
  });
});

describe('a cache', () => {
  test('is not ready before it knows the entries, nor after they were withdrawn', () => {
    const cache = new SvidCache({ now: () => 0 });
    cache.update({ bundles });
    expect(cache.ready).toBe(false);
    cache.update({ entries: byId(entry('1')), svids: [svid('1')] });
    expect(cache.ready).toBe(true);
    cache.withdraw();
    expect(cache.ready).toBe(false);
    expect(cache.view(selectors).entitled).toBe(0);
    expect(cache.svids.size).toBe(0);
  });

  test('never hands out an SVID that has expired, nor one of another name', () => {
    let now = 0;
    const cache = new SvidCache({ now: () => now });
    cache.update({
      bundles,
      entries: byId(entry('1'), entry('2')),
      svids: [svid('1'), svid('2', { notAfter: 10 })],
    });
    expect(cache.view(selectors).identities).toHaveLength(2);
    now = 10;
    expect(cache.view(selectors).identities.map(({ entry: { id } }) => id)).toEqual(['1']);
    cache.update({ entries: byId(entry('1', { spiffeId: parseSpiffeId('spiffe://example.org/renamed') })) });
    expect(cache.view(selectors)).toMatchObject({ entitled: 1, identities: [] });
  });

  test('forgets the SVIDs of entries that are gone', () => {
    const cache = new SvidCache({ now: () => 0 });
    cache.update({ entries: byId(entry('1')), svids: [svid('1')] });
    cache.update({ entries: byId() });
    cache.update({ entries: byId(entry('1')) });
    expect(cache.view(selectors).identities).toEqual([]);
  });

  test('leaves out entries for a store', () => {
    const cache = new SvidCache({ now: () => 0 });
    cache.update({ entries: byId(entry('1', { storeSvid: true })), svids: [svid('1')] });
    expect(cache.view(selectors).entitled).toBe(0);
  });

  test('an SVID whose authority is tainted or gone is due at once, but only once; others are left in peace', () => {
    const cache = new SvidCache({ now: () => 0 });
    const entries = byId(entry('1'), entry('2'), entry('3'));
    const svids = [svid('1'), svid('2', { authority: 'bb' }), svid('3', { authority: '' })];
    cache.update({ bundles, entries, svids });
    const tainted = { ...bundles, untainted: new Set(['bb', 'cc']) };
    cache.update({ bundles: tainted });
    expect([...cache.svids.values()].map(({ renewAt }) => renewAt)).toEqual([0, 500, 500]);
    // The server issued under the same authority again.
    cache.update({ svids: [svid('1', { serial: '2' })] });
    cache.update({ bundles: tainted });
    expect(cache.svids.get('1')!.renewAt).toBe(500);
  });

  test('tells those who wait of what concerns them, and of nothing else', async () => {
    let now = 0;
    const cache = new SvidCache({ now: () => now });
    const controller = new AbortController();
    cache.update({ bundles, entries: byId(entry('1')), svids: [svid('1')] });
    const views = cache.watch(selectors, controller.signal);
    expect((await views.next()).value!.identities).toHaveLength(1);
    const next = views.next();
    // None of these changes what the workload has.
    cache.update({ entries: byId(entry('1'), entry('9', { selectors: ['other'] })) });
    cache.update({ bundles: { ...bundles, own: Uint8Array.of(3), untainted: new Set() } });
    cache.update({ entries: byId(entry('1'), entry('2')) });
    await new Promise((resolve) => setTimeout(resolve, 5));
    cache.update({ svids: [svid('2')] });
    expect((await next).value!.identities.map(({ entry: { id } }) => id)).toEqual(['1', '2']);
    const expiry = views.next();
    now = 1_000;
    cache.expire();
    expect((await expiry).value).toMatchObject({ entitled: 2, identities: [] });
    const end = views.next();
    controller.abort();
    expect((await end).done).toBe(true);
  });

  test('misses no change that comes while a view is being used', async () => {
    const cache = new SvidCache({ now: () => 0 });
    cache.update({ bundles, entries: byId(entry('1')), svids: [svid('1')] });
    const views = cache.watch(selectors, new AbortController().signal);
    await views.next();
    cache.update({ svids: [svid('1', { serial: '2' })] });
    cache.update({ svids: [svid('1', { serial: '3' })] });
    expect((await views.next()).value!.identities[0]!.svid.serial).toBe('3');
  });

  test('workloads with the same selectors share one view', () => {
    const cache = new SvidCache({ now: () => 0 });
    cache.update({ bundles, entries: byId(entry('1')), svids: [svid('1')] });
    expect(cache.view(new Set(['b', 'a']))).toBe(cache.view(new Set(['a', 'b'])));
  });
});
