// The schema, step by step. A step that was released is never edited: what changes later is a new step.
import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import { Migrator, type Migration } from 'kysely/migration';

const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001_begin': { up: begin },
};

/**
 * Brings a database to this version's schema.
 *
 * @throws Error if the database was written by a newer version; it is then left as it is.
 */
export async function migrate(database: Kysely<unknown>, appliedBefore: readonly string[]): Promise<void> {
  const unknown = appliedBefore.filter((name) => MIGRATIONS[name] === undefined);
  if (unknown.length > 0) {
    throw new Error(
      `it was written by a newer version of identity-server (schema ${unknown.join(', ')}): start that version, ` +
        'or restore a backup made before the upgrade',
    );
  }
  const migrator = new Migrator({
    db: database,
    provider: { getMigrations: async () => ({ ...MIGRATIONS }) },
  });
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined)
    throw error instanceof Error ? error : new Error('the migration failed', { cause: error });
}

async function begin(database: Kysely<unknown>): Promise<void> {
  const { schema } = database;
  await schema
    .createTable('state')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('trust_domain', 'text', (column) => column.notNull())
    .addColumn('epoch', 'text', (column) => column.notNull())
    .addColumn('revision', 'integer', (column) => column.notNull())
    .addColumn('compacted', 'integer', (column) => column.notNull())
    .addColumn('bundle_sequence', 'integer', (column) => column.notNull())
    .execute();
  await schema
    .createTable('changes')
    .addColumn('revision', 'integer', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .execute();
  await schema
    .createTable('entries')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('sequence', 'integer', (column) => column.notNull())
    // The digest of SPIFFE ID, parent and selectors: two similar entries cannot both be there.
    .addColumn('similarity', 'text', (column) => column.notNull().unique())
    .addColumn('spiffe_id', 'text', (column) => column.notNull())
    .addColumn('parent_id', 'text', (column) => column.notNull())
    .addColumn('selectors', 'text', (column) => column.notNull())
    .addColumn('x509_svid_ttl', 'integer', (column) => column.notNull())
    .addColumn('jwt_svid_ttl', 'integer', (column) => column.notNull())
    .addColumn('federates_with', 'text', (column) => column.notNull())
    .addColumn('admin', 'integer', (column) => column.notNull())
    .addColumn('downstream', 'integer', (column) => column.notNull())
    .addColumn('expires_at', 'integer', (column) => column.notNull())
    .addColumn('dns_names', 'text', (column) => column.notNull())
    .addColumn('store_svid', 'integer', (column) => column.notNull())
    .addColumn('hint', 'text', (column) => column.notNull())
    .addColumn('disable_x509_svid_prefetch', 'integer', (column) => column.notNull())
    .addColumn('jwt_svid_include_jti', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'integer', (column) => column.notNull())
    .addColumn('revision_number', 'integer', (column) => column.notNull())
    .execute();
  await schema
    .createTable('nodes')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('sequence', 'integer', (column) => column.notNull())
    .addColumn('attestation_type', 'text', (column) => column.notNull())
    .addColumn('serial', 'text', (column) => column.notNull())
    .addColumn('not_after', 'integer', (column) => column.notNull())
    .addColumn('new_serial', 'text', (column) => column.notNull())
    .addColumn('new_not_after', 'integer', (column) => column.notNull())
    .addColumn('selectors', 'text', (column) => column.notNull())
    .addColumn('can_reattest', 'integer', (column) => column.notNull())
    .addColumn('agent_version', 'text', (column) => column.notNull())
    .execute();
  await schema
    .createTable('join_tokens')
    .addColumn('digest', 'text', (column) => column.primaryKey())
    .addColumn('expires_at', 'integer', (column) => column.notNull())
    .execute();
  await schema
    .createTable('authorities')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('slot', 'text', (column) => column.notNull())
    .addColumn('status', 'text', (column) => column.notNull())
    .addColumn('issued_at', 'integer', (column) => column.notNull())
    .addColumn('not_after', 'integer', (column) => column.notNull())
    .addColumn('certificate', 'blob', (column) => column.notNull())
    .execute();
  await (database as Kysely<{ state: Record<string, unknown> }>)
    .insertInto('state')
    .values({ id: 1, trust_domain: '', epoch: randomUUID(), revision: 0, compacted: 0, bundle_sequence: 0 })
    .execute();
}
