import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { WatchResponseSchema } from '../../sdk/api/gen/sigil/sync/v1/sync_pb.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { PushState } from './push-state.ts';

const message = (fields: MessageInitShape<typeof WatchResponseSchema>) => create(WatchResponseSchema, fields);
const entry = (id: string, over: object = {}) => ({
  id,
  spiffeId: { trustDomain: 'example.org', path: `/${id}` },
  selectors: [{ type: 'unix', value: 'uid:1' }],
  createdAt: 5n,
  ...over,
});
const digest = (text: string) => createHash('sha256').update(text).digest();
const at = (revision: bigint) => ({ epoch: 'e', revision });

function newState() {
  const unreadable: string[] = [];
  const state = new PushState({
    trustDomain: parseTrustDomain('example.org'),
    onUnreadable: (id) => unreadable.push(id),
  });
  return { state, unreadable, ids: () => [...state.entries.keys()].toSorted().join(' ') };
}

describe('what the server told', () => {
  test('is taken over as a whole', () => {
    const { state, ids } = newState();
    expect(state.take(message({ snapshot: true, entries: [entry('a')], more: true }))).toBe(false);
    expect(ids()).toBe('');
    expect(state.take(message({ entries: [entry('b')], position: at(1n) }))).toBe(true);
    expect(ids()).toBe('a b');
    expect(state.position).toMatchObject(at(1n));
    state.take(message({ removedEntryIds: ['a', 'never'], entries: [entry('c')], position: at(2n) }));
    expect(ids()).toBe('b c');
    state.take(message({ snapshot: true, entries: [entry('d')], position: at(3n) }));
    expect(ids()).toBe('d');
  });

  test('what a broken stream left unfinished is void', () => {
    const { state, ids } = newState();
    state.take(message({ snapshot: true, entries: [entry('a')], position: at(1n) }));
    state.take(message({ removedEntryIds: ['a'], more: true }));
    state.begin();
    const entriesDigest = digest('a 0 5\nb 0 5');
    state.take(message({ entries: [entry('b')], position: at(2n), entriesDigest }));
    expect(ids()).toBe('a b');
  });

  test('an agent that has something else than the server thinks begins anew', () => {
    const { state, ids } = newState();
    state.take(message({ snapshot: true, entries: [entry('a')], position: at(1n) }));
    state.begin();
    expect(() => state.take(message({ position: at(2n), entriesDigest: digest('other') }))).toThrow(
      /begins anew/,
    );
    expect(state.position).toBeUndefined();
    expect(ids()).toBe('');
  });

  test('an entry that cannot be served is left out, and counts all the same', () => {
    const { state, ids, unreadable } = newState();
    state.take(
      message({ snapshot: true, entries: [entry('a'), entry('b', { selectors: [] })], position: at(1n) }),
    );
    expect([ids(), unreadable]).toEqual(['a', ['b']]);
    state.begin();
    state.take(message({ position: at(2n), entriesDigest: digest('a 0 5\nb 0 5') }));
    expect(ids()).toBe('a');
  });

  test('denials and bundles: each stream begins with all of them', () => {
    const { state } = newState();
    const denial = { spiffeId: 'spiffe://example.org/x', serialNumber: '1' };
    state.take(
      message({ snapshot: true, denials: [denial], bundles: [{ trustDomain: 'a.org' }], position: at(1n) }),
    );
    state.take(message({ denials: [{ ...denial, serialNumber: '' }], position: at(2n) }));
    state.take(message({ liftedDenials: [denial], removedTrustDomains: ['a.org'], position: at(3n) }));
    expect(state.denials.map(({ serialNumber }) => serialNumber)).toEqual(['']);
    expect(state.bundles.size).toBe(0);
    state.begin();
    state.take(message({ bundles: [{ trustDomain: 'spiffe://b.org' }], position: at(4n) }));
    expect(state.denials).toEqual([]);
    expect([...state.bundles.keys()]).toEqual(['b.org']);
  });
});
