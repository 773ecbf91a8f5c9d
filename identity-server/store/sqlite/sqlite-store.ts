// The store on SQLite. Kysely gives one transaction at a time the connection, so a write sees nobody half-way.
import { join } from 'node:path';
import { Kysely, SqliteDialect, type Transaction } from 'kysely';
import type { DatabaseSync } from 'node:sqlite';
import type { SpiffeId, TrustDomain } from '../../../sdk/spiffe-id.ts';
import type { AttestedNode, AuthorityRecord, NewNode, Store } from '../store.ts';
import { databaseError, kyselyDatabase, openDatabase } from './database.ts';
import { createEntries, deleteEntries, updateEntries } from './entries.ts';
import { changesAfter, compact, record, snapshot } from './change-log.ts';
import { authorities, saveAuthorities } from './journal.ts';
import { migrate } from './migrations.ts';
import { nodeOfRow, rowOfNode, type Tables } from './tables.ts';

/** The name of the database file in the data folder. */
export const DATABASE_FILE = 'identity-server.db';

/** Options of {@link openSqliteStore}. */
export interface SqliteStoreOptions {
  /** Folder, which must exist. */
  readonly folder: string;
  readonly trustDomain: TrustDomain;
}

/**
 * Opens the database, brings its schema up to date and checks that it is of this trust domain.
 *
 * @throws Error that names the file and what to do. Nothing in the file is overwritten then.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const file = join(options.folder, DATABASE_FILE);
  const raw = openDatabase(file);
  const database = new Kysely<Tables>({ dialect: new SqliteDialect({ database: kyselyDatabase(raw) }) });
  try {
    await migrate(database as Kysely<unknown>, appliedMigrations(raw));
    await claimTrustDomain(database, options.trustDomain);
  } catch (error) {
    if (raw.isOpen) raw.close();
    throw databaseError(file, error);
  }
  return storeOn(database);
}

function appliedMigrations(raw: DatabaseSync): string[] {
  const table = raw.prepare("SELECT 1 FROM sqlite_master WHERE name = 'kysely_migration'").get();
  if (table === undefined) return [];
  return raw
    .prepare('SELECT name FROM kysely_migration')
    .all()
    .map(({ name }) => String(name));
}

// Keys, entries and agents all carry the trust domain in their names: none of them could be used under another.
async function claimTrustDomain(database: Kysely<Tables>, trustDomain: TrustDomain): Promise<void> {
  const state = await database.selectFrom('state').selectAll().executeTakeFirstOrThrow();
  if (state.trust_domain === trustDomain) return;
  if (state.revision > 0) {
    throw new Error(
      `it belongs to the trust domain ${state.trust_domain}, and the configuration (trust_domain) says ` +
        `${trustDomain}: set it back, or choose another data_dir`,
    );
  }
  await database.updateTable('state').set({ trust_domain: trustDomain }).execute();
}

function storeOn(database: Kysely<Tables>): Store {
  const listeners = new Set<() => void>();
  const write = async <T>(body: (transaction: Transaction<Tables>) => Promise<T>): Promise<T> => {
    const result = await database.transaction().execute(body);
    for (const listener of listeners) listener();
    return result;
  };
  const read = <T>(body: (transaction: Transaction<Tables>) => Promise<T>): Promise<T> =>
    database.transaction().execute(body);
  return {
    snapshot: () => read(snapshot),
    changesAfter: (position, limit) => read((transaction) => changesAfter(transaction, position, limit)),
    compact: (revision) => read((transaction) => compact(transaction, revision)),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    createEntries: (entries) => write((transaction) => createEntries(transaction, entries)),
    updateEntries: (updates) => write((transaction) => updateEntries(transaction, updates)),
    deleteEntries: (ids) => write((transaction) => deleteEntries(transaction, ids)),
    putNode: (node, judge) => write((transaction) => putNode(transaction, node, judge)),
    updateNode: (id, change) => write((transaction) => updateNode(transaction, id, change)),
    deleteNode: (id, entryIds) => write((transaction) => deleteNode(transaction, id, entryIds)),
    createJoinToken: (token, entry) =>
      write(async (transaction) => {
        const { numInsertedOrUpdatedRows: inserted } = await transaction
          .insertInto('join_tokens')
          .values({ digest: token.digest, expires_at: token.expiresAt })
          .onConflict((conflict) => conflict.doNothing())
          .executeTakeFirstOrThrow();
        if (inserted !== 1n) return false;
        if (entry !== undefined) await createEntries(transaction, [entry]);
        return true;
      }),
    hasJoinToken: async (digest) =>
      (await database
        .selectFrom('join_tokens')
        .select('digest')
        .where('digest', '=', digest)
        .executeTakeFirst()) !== undefined,
    async takeJoinToken(digest) {
      const row = await database
        .deleteFrom('join_tokens')
        .where('digest', '=', digest)
        .returningAll()
        .executeTakeFirst();
      return row === undefined ? undefined : { digest: row.digest, expiresAt: row.expires_at };
    },
    async deleteJoinTokensExpiredBefore(seconds) {
      const { numDeletedRows } = await database
        .deleteFrom('join_tokens')
        .where('expires_at', '<', seconds)
        .executeTakeFirstOrThrow();
      return Number(numDeletedRows);
    },
    authorities: () => read(authorities),
    saveAuthorities: (records: readonly AuthorityRecord[]) =>
      write((transaction) => saveAuthorities(transaction, records)),
    [Symbol.asyncDispose]: () => database.destroy(),
  };
}

async function putNode(
  transaction: Transaction<Tables>,
  node: NewNode,
  judge?: (before: AttestedNode | undefined) => void,
): Promise<AttestedNode> {
  const row = await transaction.selectFrom('nodes').selectAll().where('id', '=', node.id).executeTakeFirst();
  judge?.(row && nodeOfRow(row));
  const revision = await record(transaction, 'node', node.id);
  const placed = { ...node, sequence: row?.sequence ?? revision };
  await transaction.replaceInto('nodes').values(rowOfNode(placed)).execute();
  return placed;
}

async function updateNode(
  transaction: Transaction<Tables>,
  id: SpiffeId,
  change: (node: AttestedNode) => AttestedNode | undefined,
): Promise<AttestedNode | undefined> {
  const row = await transaction.selectFrom('nodes').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined) return undefined;
  const before = nodeOfRow(row);
  const changed = change(before);
  if (changed === undefined) return before;
  const after = { ...changed, id, sequence: before.sequence };
  await record(transaction, 'node', id);
  await transaction.replaceInto('nodes').values(rowOfNode(after)).execute();
  return after;
}

async function deleteNode(
  transaction: Transaction<Tables>,
  id: SpiffeId,
  entryIds: readonly string[],
): Promise<boolean> {
  const { numDeletedRows } = await transaction
    .deleteFrom('nodes')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  if (numDeletedRows === 0n) return false;
  await record(transaction, 'node', id);
  await deleteEntries(transaction, entryIds);
  return true;
}
