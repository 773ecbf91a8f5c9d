// The store over any of the databases.
import type { TrustDomain } from '../../../sdk/spiffe-id.ts';
import type { Store } from '../store.ts';
import { changesAfter, compact, snapshot } from './change-log.ts';
import type { Engine } from './engine.ts';
import { createEntries, deleteEntries, updateEntries } from './entries.ts';
import { authorities, updateAuthorities } from './journal.ts';
import { deleteBundle, updateBundle } from './bundles.ts';
import { deleteRelationship, updateRelationship } from './relationships.ts';
import {
  createJoinToken,
  deleteJoinTokensExpiredBefore,
  hasJoinToken,
  takeJoinToken,
} from './join-tokens.ts';
import { migrate } from './migrations.ts';
import { deleteNode, putNode, updateNode } from './nodes.ts';
import { read, write, type Write } from './transaction.ts';

/**
 * Brings the schema up to date and checks that the database is of this trust domain.
 *
 * @throws Error if it cannot be used, of another trust domain or of a newer version. Nothing is overwritten then.
 */
export async function prepareDatabase(
  engine: Engine,
  { trustDomain }: { readonly trustDomain: TrustDomain },
): Promise<void> {
  await migrate(engine);
  await write(engine, async ({ state, transaction }) => {
    if (state.trust_domain === trustDomain) return;
    // Keys, entries and agents all carry the trust domain in their names: none could be used under another.
    if (state.revision > 0) {
      throw new Error(
        `it belongs to the trust domain ${state.trust_domain}, and the configuration (trust_domain) says ` +
          `${trustDomain}: set it back, or choose another database`,
      );
    }
    await transaction.updateTable('state').set({ trust_domain: trustDomain }).execute();
  });
}

/** The store over a database that was prepared. Disposing of it closes the database. */
export function storeOn(engine: Engine): Store {
  const listeners = new Set<() => void>();
  const wake = () => {
    for (const listener of listeners) listener();
  };
  engine.listen?.(wake);
  const guarded = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw engine.explain(error);
    }
  };
  const writing = async <T>(body: (write: Write) => Promise<T>): Promise<T> => {
    const { result, changed } = await guarded(write(engine, body));
    if (changed) wake();
    return result;
  };
  const reading: <T>(body: Parameters<typeof read<T>>[1]) => Promise<T> = (body) =>
    guarded(read(engine, body));
  return {
    snapshot: () => reading(snapshot),
    changesAfter: (position, limit) => reading((transaction) => changesAfter(transaction, position, limit)),
    compact: (revision) => writing(({ transaction }) => compact(transaction, revision)),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    createEntries: (entries) => writing((write) => createEntries(write, entries)),
    updateEntries: (updates) => writing((write) => updateEntries(write, updates)),
    deleteEntries: (ids) => writing((write) => deleteEntries(write, ids)),
    putNode: (node, judge) => writing((write) => putNode(write, node, judge)),
    updateNode: (id, change) => writing((write) => updateNode(write, id, change)),
    deleteNode: (id, entryIds) => writing((write) => deleteNode(write, id, entryIds)),
    createJoinToken: (token, entry) => writing((write) => createJoinToken(write, token, entry)),
    hasJoinToken: (digest) => reading((transaction) => hasJoinToken(transaction, digest)),
    takeJoinToken: (digest) => writing((write) => takeJoinToken(write, digest)),
    deleteJoinTokensExpiredBefore: (seconds) =>
      writing((write) => deleteJoinTokensExpiredBefore(write, seconds)),
    authorities: () => reading(authorities),
    updateAuthorities: (change) => writing((write) => updateAuthorities(write, change)),
    updateBundle: (trustDomain, change) => writing((write) => updateBundle(write, trustDomain, change)),
    deleteBundle: (trustDomain, mode) => writing((write) => deleteBundle(write, trustDomain, mode)),
    updateRelationship: (trustDomain, change) =>
      writing((write) => updateRelationship(write, trustDomain, change)),
    deleteRelationship: (trustDomain) => writing((write) => deleteRelationship(write, trustDomain)),
    [Symbol.asyncDispose]: () => engine.close(),
  };
}
