// Entries and agents as benchmarks make them.
import { newEntry, newNode } from '../../identity-server/store/store-contract.ts';
import type { NewEntry, NewNode } from '../../identity-server/store/store.ts';
import type { SpiffeId } from '../../sdk/spiffe-id.ts';

export const ENTRIES_PER_AGENT = 100;

const agentId = (index: number) => `spiffe://example.org/spire/agent/x509pop/${index}` as SpiffeId;

/** An agent of a hundred entries. */
export function benchNode(index: number): NewNode {
  return newNode({
    id: agentId(index),
    attestationType: 'x509pop',
    selectors: [
      { type: 'x509pop', value: `subject:cn:node-${index}` },
      { type: 'x509pop', value: 'ca:fingerprint:da39a3ee5e6b4b0d3255bfef95601890afd80709' },
    ],
  });
}

/** An entry of an agent: two selectors, one DNS name. */
export function benchEntry(index: number): NewEntry {
  return newEntry({
    id: `entry-${index}`,
    spiffeId: `spiffe://example.org/ns/default/sa/service-${index}` as SpiffeId,
    parentId: agentId(Math.floor(index / ENTRIES_PER_AGENT)),
    selectors: [
      { type: 'unix', value: `uid:${1_000 + (index % ENTRIES_PER_AGENT)}` },
      { type: 'unix', value: `path:/usr/local/bin/service-${index}` },
    ],
    dnsNames: [`service-${index}.example.org`],
    federatesWith: [],
    admin: false,
    hint: '',
    expiresAt: 0,
  });
}
