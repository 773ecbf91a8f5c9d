// The authority journal: which signing certificates there are, and which of them signs.
import { Buffer } from 'node:buffer';
import type { Transaction } from 'kysely';
import type { AuthorityJournal, AuthorityRecord } from '../store.ts';
import { record } from './change-log.ts';
import { authorityOfRow, type Tables } from './tables.ts';

export async function authorities(transaction: Transaction<Tables>): Promise<AuthorityJournal> {
  const { bundle_sequence: bundleSequence } = await transaction
    .selectFrom('state')
    .select('bundle_sequence')
    .executeTakeFirstOrThrow();
  const rows = await transaction.selectFrom('authorities').selectAll().orderBy('issued_at').execute();
  return { bundleSequence, records: rows.map(authorityOfRow) };
}

export async function saveAuthorities(
  transaction: Transaction<Tables>,
  records: readonly AuthorityRecord[],
): Promise<AuthorityJournal> {
  const before = await authorities(transaction);
  const bundleChanged = certificatesOf(before.records) !== certificatesOf(records);
  await transaction.deleteFrom('authorities').execute();
  for (const { id, slot, status, issuedAt, notAfter, certificate } of records) {
    await transaction
      .insertInto('authorities')
      .values({ id, slot, status, issued_at: issuedAt, not_after: notAfter, certificate })
      .execute();
  }
  await record(transaction, 'authority', 'x509');
  if (bundleChanged) {
    await transaction
      .updateTable('state')
      .set({ bundle_sequence: before.bundleSequence + 1 })
      .execute();
  }
  return authorities(transaction);
}

function certificatesOf(records: readonly AuthorityRecord[]): string {
  return records
    .map(({ certificate }) => Buffer.from(certificate).toString('base64'))
    .sort()
    .join();
}
