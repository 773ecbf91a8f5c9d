// The authority journal of all servers, and the own bundle, which changes together with it.
import { isDeepStrictEqual } from 'node:util';
import type { Transaction } from 'kysely';
import type { TrustDomain } from '../../../sdk/spiffe-id.ts';
import type { AuthorityRecord, AuthorityState } from '../store.ts';
import { bundleOf, putBundle } from './bundles.ts';
import { stateOf } from './change-log.ts';
import { authorityOfRow, rowOfAuthority, type Tables } from './tables.ts';
import type { Write } from './transaction.ts';

export async function authorities(transaction: Transaction<Tables>): Promise<AuthorityState> {
  const { trust_domain: trustDomain } = await stateOf(transaction);
  const rows = await transaction
    .selectFrom('authorities')
    .selectAll()
    .orderBy('issued_at')
    .orderBy('id')
    .execute();
  return {
    records: rows.map(authorityOfRow),
    bundle: await bundleOf(transaction, trustDomain as TrustDomain),
  };
}

export async function updateAuthorities(
  write: Write,
  change: (before: AuthorityState) => AuthorityState | undefined,
): Promise<AuthorityState> {
  const { transaction } = write;
  const before = await authorities(transaction);
  const after = change(before);
  if (after === undefined) return before;
  const old = new Map(before.records.map((record) => [record.id, record]));
  const changed = after.records.filter((record) => !isDeepStrictEqual(record, old.get(record.id)));
  for (const { id } of after.records) old.delete(id);
  const gone = [...old.values()];
  const replaced = [...gone, ...changed].map(({ id }) => id);
  if (replaced.length > 0) {
    await transaction.deleteFrom('authorities').where('id', 'in', replaced).execute();
  }
  if (changed.length > 0) {
    await transaction.insertInto('authorities').values(changed.map(rowOfAuthority)).execute();
  }
  for (const kind of kindsOf([...gone, ...changed])) write.record('authority', kind);
  if (after.bundle !== undefined && !isDeepStrictEqual(after.bundle, before.bundle)) {
    await putBundle(write, after.bundle);
  }
  return authorities(transaction);
}

function kindsOf(records: readonly AuthorityRecord[]): Set<string> {
  return new Set(records.map(({ kind }) => kind));
}
