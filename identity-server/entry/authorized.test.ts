import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import { newEntry, newNode } from '../store/store-contract.ts';
import type { Entry } from '../store/store.ts';
import { AgentViews, type EntryDelta } from './agent-views.ts';
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

function indexOf(entries: readonly Entry[]): EntryIndex {
  const index = new EntryIndex(SERVER);
  for (const item of entries) index.put(item);
  return index;
}

const node = (nodeSelectors: string) => ({
  ...newNode({ id: AGENT, selectors: selectors(nodeSelectors) }),
  sequence: 1,
});

const namesOf = (entries: ReadonlyMap<string, Entry>) => [...entries.keys()].toSorted().join(' ');

function authorized(entries: readonly Entry[], nodeSelectors = 'a b', seconds = 100): string {
  return namesOf(new AgentViews(indexOf(entries)).entriesOf(node(nodeSelectors), seconds));
}

describe('the entries of an agent', () => {
  test('are those below the agent, and below them', () => {
    const entries = [
      entry('child', AGENT, '/a'),
      entry('grandchild', id('/a'), '/a/b'),
      entry('stranger', id('/spire/agent/x/2'), '/c'),
    ];
    expect(authorized(entries)).toBe('child grandchild');
  });

  test('are those below an alias whose selectors the node has all of; the alias is none of them', () => {
    const entries = [
      entry('alias', SERVER, '/rack', 'b a'),
      entry('other', SERVER, '/zone', 'a c'),
      entry('in-rack', id('/rack'), '/a'),
      entry('in-zone', id('/zone'), '/b'),
    ];
    expect(authorized(entries)).toBe('in-rack');
    expect(authorized(entries, 'a b c')).toBe('in-rack in-zone');
    expect(authorized(entries, 'a')).toBe('');
  });

  test('loops end', () => {
    expect(authorized([entry('one', AGENT, '/a'), entry('two', id('/a'), '/a', 'b')])).toBe('one two');
    expect(authorized([entry('self', AGENT, '/spire/agent/x/1')])).toBe('self');
  });

  test('an expired entry is neither served nor a link', () => {
    const entries = [
      entry('child', AGENT, '/a', 'a', 101),
      entry('grandchild', id('/a'), '/b', 'a', 200),
      entry('alias', SERVER, '/rack', 'a', 150),
      entry('in-rack', id('/rack'), '/c'),
    ];
    const views = new AgentViews(indexOf(entries));
    const at = (seconds: number) => namesOf(views.entriesOf(node('a b'), seconds));
    expect(at(100)).toBe('child grandchild in-rack');
    expect(at(101)).toBe('in-rack');
    expect(at(150)).toBe('');
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

  test('what an agent was given does not change under it', () => {
    const index = indexOf([entry('one', AGENT, '/a')]);
    const views = new AgentViews(index);
    const given = views.entriesOf(node('a'), 100);
    const two = entry('two', AGENT, '/b');
    index.put(two);
    expect(views.changed(undefined, two, 100)).toEqual([AGENT]);
    expect(namesOf(given)).toBe('one');
    expect(namesOf(views.entriesOf(node('a'), 100))).toBe('one two');
  });

  test('after any changes they are what they would be from the beginning', () => {
    const parents = [SERVER, AGENT, id('/a'), id('/b'), id('/c'), id('/d')];
    const step = fc.record({
      name: fc.constantFrom('1', '2', '3', '4', '5', '6'),
      parent: fc.constantFrom(...parents),
      path: fc.constantFrom('/a', '/b', '/c', '/d'),
      wanted: fc.constantFrom('a', 'b', 'a b', 'c', 'a c'),
      expiresAt: fc.constantFrom(0, 0, 0, 105, 110),
      gone: fc.boolean(),
      seconds: fc.constantFrom(100, 105, 110),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const index = new EntryIndex(SERVER);
        const views = new AgentViews(index);
        const nodes = ['a', 'a b', 'a b c'].map((held, number) => ({
          ...node(held),
          id: number === 0 ? AGENT : id(`/spire/agent/y/${number}`),
        }));
        let time = 100;
        for (const { name, parent, path, wanted, expiresAt, gone, seconds } of steps) {
          time = Math.max(time, seconds);
          const old = nodes.map((each) => namesOf(views.entriesOf(each, time)));
          const told = nodes.map((each) => new Map(views.entriesOf(each, time)));
          const before = index.get(name);
          const after = gone ? undefined : entry(name, parent, path, wanted, expiresAt);
          if (after === undefined) index.delete(name);
          else index.put(after);
          const deltas = new Map<SpiffeId, EntryDelta>();
          const touched = views.changed(before, after, time, deltas);
          for (const [number, each] of nodes.entries()) {
            const fresh = new AgentViews(index).entriesOf(each, time);
            const kept = views.entriesOf(each, time);
            expect(Object.fromEntries(kept)).toEqual(Object.fromEntries(fresh));
            if (!touched.includes(each.id)) expect(namesOf(kept)).toBe(old[number]);
            const delta = deltas.get(each.id);
            if (delta?.anew === true) continue;
            for (const [name, value] of delta?.changed ?? []) {
              if (value === undefined) told[number]!.delete(name);
              else told[number]!.set(name, value);
            }
            expect(Object.fromEntries(told[number]!)).toEqual(Object.fromEntries(kept));
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
