import { describe, expect, test } from 'vitest';
import { parseSpiffeId } from '../../sdk/spiffe-id.ts';
import type { IssuedX509Svid, WorkloadEntry } from '../svid-cache/entry.ts';
import { MAX_BATCH, nextBatchSize, nextRenewal, planEntries, planSvids } from './plan.ts';

const entry = (id: string, over: Partial<WorkloadEntry> = {}): WorkloadEntry => ({
  id,
  spiffeId: parseSpiffeId(`spiffe://example.org/${id}`),
  selectors: ['unix:uid:1'],
  federatesWith: [],
  hint: '',
  revision: 0n,
  createdAt: 1n,
  storeSvid: false,
  ...over,
});
const svid = (id: string, over: Partial<IssuedX509Svid> = {}): [string, IssuedX509Svid] => [
  id,
  {
    entryId: id,
    spiffeId: parseSpiffeId(`spiffe://example.org/${id}`),
    revision: 0n,
    createdAt: 1n,
    certificates: new Uint8Array(),
    privateKey: new Uint8Array(),
    serial: '1',
    authority: '',
    notAfter: 100,
    renewAt: 50,
    ...over,
  },
];

describe('entries', () => {
  test('are kept while their revision and birth are the same, and fetched otherwise', () => {
    const known = new Map(['a', 'b', 'c', 'gone'].map((id) => [id, entry(id)]));
    const revision = (id: string, number = 0n, createdAt = 1n) => ({ id, revision: number, createdAt });
    const plan = planEntries(known, [
      revision('new'),
      revision('c', 0n, 2n),
      revision('b', 1n),
      revision('a'),
      revision('a'),
    ]);
    expect([...plan.kept.keys()]).toEqual(['a']);
    expect(plan.wanted).toEqual(['b', 'c', 'new']);
  });
});

describe('SVIDs', () => {
  test('that are missing come first, then those that expire soonest; others wait', () => {
    const entries = ['late', 'soon', 'fresh', 'missing'].map((id) => entry(id));
    const svids = new Map([
      svid('late', { notAfter: 99 }),
      svid('soon', { notAfter: 60 }),
      svid('fresh', { renewAt: 51 }),
    ]);
    expect(planSvids(entries, svids, 50).map(({ id }) => id)).toEqual(['missing', 'soon', 'late']);
  });

  test('are issued anew for another revision of the entry, or another entry of the same id', () => {
    const svids = new Map([svid('a'), svid('b')]);
    const entries = [entry('a', { revision: 1n }), entry('b', { createdAt: 2n })];
    expect(planSvids(entries, svids, 0)).toHaveLength(2);
  });

  test('are not fetched for entries that go to a store', () => {
    expect(planSvids([entry('a', { storeSvid: true })], new Map(), 0)).toEqual([]);
  });

  test('the next renewal is the earliest', () => {
    expect(nextRenewal(new Map([svid('a'), svid('b', { renewAt: 7 })]))).toBe(7);
    expect(nextRenewal(new Map())).toBe(Infinity);
  });

  test('batches halve on failure down to one, and double on success up to the most', () => {
    expect(nextBatchSize(MAX_BATCH, true)).toBe(MAX_BATCH);
    expect([500, 3, 1].map((size) => nextBatchSize(size, false))).toEqual([250, 1, 1]);
    expect(nextBatchSize(3, true)).toBe(6);
  });
});
