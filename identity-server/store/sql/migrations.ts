// The schema, step by step, for every database. A step that was released is never edited: what changes later is a new step.
import { randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import { Migrator, type Migration } from 'kysely/migration';
import type { ColumnType, ColumnTypes, Engine } from './engine.ts';

function migrations(types: ColumnTypes): Record<string, Migration> {
  return { '0001_initial': { up: (database) => initial(database, types) } };
}

/**
 * Brings a database to this version's schema.
 *
 * @throws Error if the database was written by a newer version; it is then left as it is.
 */
export async function migrate({ database, types }: Pick<Engine, 'database' | 'types'>): Promise<void> {
  const steps = migrations(types);
  const migrator = new Migrator({
    db: database as Kysely<unknown>,
    provider: { getMigrations: async () => steps },
  });
  const applied = await appliedMigrations(database as Kysely<unknown>);
  const unknown = applied.filter((name) => steps[name] === undefined);
  if (unknown.length > 0) {
    throw new Error(
      `it was written by a newer version of identity-server (schema ${unknown.join(', ')}): start that version, ` +
        'or restore a backup made before the upgrade',
    );
  }
  if (applied.length === Object.keys(steps).length) return;
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined)
    throw error instanceof Error ? error : new Error('the migration failed', { cause: error });
}

async function appliedMigrations(database: Kysely<unknown>): Promise<string[]> {
  const tables = await database.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === 'kysely_migration')) return [];
  const rows = await (database as Kysely<{ kysely_migration: { name: string } }>)
    .selectFrom('kysely_migration')
    .select('name')
    .execute();
  return rows.map(({ name }) => name);
}

/** Adds a table whose columns must all have a value. The first column is the primary key. */
async function createTable(
  database: Kysely<unknown>,
  name: string,
  columns: readonly (readonly [name: string, type: ColumnType])[],
  unique?: 'similarity',
): Promise<void> {
  let table = database.schema.createTable(name).ifNotExists();
  for (const [index, [column, type]] of columns.entries()) {
    table = table.addColumn(column, type, (builder) =>
      index === 0 ? builder.notNull().primaryKey() : builder.notNull(),
    );
  }
  if (unique !== undefined) table = table.addUniqueConstraint(`${name}_${unique}`, [unique as never]);
  await table.execute();
}

async function initial(
  database: Kysely<unknown>,
  { name, spiffeId, text, integer, bytes }: ColumnTypes,
): Promise<void> {
  await createTable(database, 'state', [
    ['id', integer],
    ['trust_domain', name],
    ['epoch', name],
    ['revision', integer],
    ['compacted', integer],
  ]);
  await createTable(database, 'changes', [
    ['revision', integer],
    ['kind', name],
    ['subject', spiffeId],
    ['epoch', name],
  ]);
  await createTable(
    database,
    'entries',
    [
      ['id', name],
      ['sequence', integer],
      // The digest of SPIFFE ID, parent and selectors: two similar entries cannot both be there.
      ['similarity', name],
      ['spiffe_id', spiffeId],
      ['parent_id', spiffeId],
      ['selectors', text],
      ['x509_svid_ttl', integer],
      ['jwt_svid_ttl', integer],
      ['federates_with', text],
      ['admin', integer],
      ['downstream', integer],
      ['expires_at', integer],
      ['dns_names', text],
      ['store_svid', integer],
      ['hint', text],
      ['disable_x509_svid_prefetch', integer],
      ['jwt_svid_include_jti', integer],
      ['created_at', integer],
      ['revision_number', integer],
    ],
    'similarity',
  );
  await createTable(database, 'nodes', [
    ['id', spiffeId],
    ['sequence', integer],
    ['attestation_type', name],
    ['serial', name],
    ['not_after', integer],
    ['new_serial', name],
    ['new_not_after', integer],
    ['selectors', text],
    ['can_reattest', integer],
    ['agent_version', text],
  ]);
  await createTable(database, 'join_tokens', [
    ['digest', name],
    ['expires_at', integer],
  ]);
  await createTable(database, 'authorities', [
    ['id', name],
    ['kind', name],
    ['server', name],
    ['slot', name],
    ['status', name],
    ['issued_at', integer],
    ['not_after', integer],
    ['material', bytes],
  ]);
  await createTable(database, 'bundles', [
    ['trust_domain', name],
    ['data', text],
  ]);
  await createTable(database, 'relationships', [
    ['trust_domain', name],
    ['bundle_endpoint_url', text],
    ['endpoint_spiffe_id', spiffeId],
  ]);
  const rows = database as Kysely<{ state: Record<string, unknown>; changes: Record<string, unknown> }>;
  const epoch = randomUUID();
  // MySQL commits each table as it is made: an earlier try may have come this far.
  await rows.deleteFrom('state').execute();
  await rows.deleteFrom('changes').execute();
  await rows
    .insertInto('state')
    .values({ id: 1, trust_domain: '', epoch, revision: 0, compacted: 0 })
    .execute();
  // Nothing changed yet, but a reader can stand here.
  await rows.insertInto('changes').values({ revision: 0, kind: 'authority', subject: '', epoch }).execute();
}
