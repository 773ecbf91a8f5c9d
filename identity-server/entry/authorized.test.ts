import { describe, expect, test } from 'vitest';
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import { newEntry, newNode } from '../store/store-contract.ts';
import type { Entry } from '../store/store.ts';
import { authorizedEntries } from './authorized.ts';
import { EntryIndex } from './entry-index.ts';

const id = (path: string) => `spiffe://example.org${path}` as SpiffeId;
const SERVER = id('/spire/server');
const AGENT = id('/spire/agent/x/1');
const selectors = (text: string) => text.split(' ').map((value) => ({ type: 't', value }));

// `name: parent -> id if selectors`
function entry(name: string, parent: SpiffeId, path: string, wanted = 'a', expiresAt = 0): Entry {
  return {
    ...newEntry({ id: name, parentId: parent, spiffeId: id(path), selectors: selectors(wanted), expiresAt }),
    revisionNumber: 0,
    sequence: 1,
  };
}

function authorized(entries: readonly Entry[], nodeSelectors = 'a b', seconds = 100) {
  const index = new EntryIndex(SERVER);
  for (const item of entries) index.put(item);
  const node = { ...newNode({ id: AGENT, selectors: selectors(nodeSelectors) }), sequence: 1 };
  const { entries: found, validUntil } = authorizedEntries(index, node, seconds);
  return { names: [...found.keys()].toSorted().join(' '), validUntil };
}

describe('authorizedEntries', () => {
  test('are those below the agent, and below them', () => {
    const entries = [
      entry('child', AGENT, '/a'),
      entry('grandchild', id('/a'), '/a/b'),
      entry('stranger', id('/spire/agent/x/2'), '/c'),
    ];
    expect(authorized(entries).names).toBe('child grandchild');
  });

  test('are those below an alias whose selectors the node has all of; the alias is none of them', () => {
    const entries = [
      entry('alias', SERVER, '/rack', 'b a'),
      entry('other', SERVER, '/zone', 'a c'),
      entry('in-rack', id('/rack'), '/a'),
      entry('in-zone', id('/zone'), '/b'),
    ];
    expect(authorized(entries).names).toBe('in-rack');
    expect(authorized(entries, 'a b c').names).toBe('in-rack in-zone');
    expect(authorized(entries, 'a').names).toBe('');
  });

  test('loops end', () => {
    expect(authorized([entry('one', AGENT, '/a'), entry('two', id('/a'), '/a', 'b')]).names).toBe('one two');
    expect(authorized([entry('self', AGENT, '/spire/agent/x/1')]).names).toBe('self');
  });

  test('an expired entry is neither served nor a link', () => {
    const entries = [
      entry('child', AGENT, '/a', 'a', 101),
      entry('grandchild', id('/a'), '/b', 'a', 200),
      entry('alias', SERVER, '/rack', 'a', 150),
      entry('in-rack', id('/rack'), '/c'),
    ];
    expect(authorized(entries)).toEqual({ names: 'child grandchild in-rack', validUntil: 101 });
    expect(authorized(entries, 'a', 101)).toEqual({ names: 'in-rack', validUntil: 150 });
    expect(authorized(entries, 'a', 150)).toEqual({ names: '', validUntil: Infinity });
  });

  test('the index forgets what was replaced or deleted', () => {
    const index = new EntryIndex(SERVER);
    index.put(entry('one', SERVER, '/rack', 'a'));
    index.put(entry('one', AGENT, '/web', 'b'));
    expect(index.aliasesOf(selectors('a'))).toEqual([]);
    expect([...index.granting(id('/rack'))]).toEqual([]);
    expect([...index.childrenOf(AGENT)].map((item) => item.id)).toEqual(['one']);
    index.delete('one');
    expect([...index.childrenOf(AGENT), ...index.granting(id('/web')), ...index.all()]).toEqual([]);
  });
});
