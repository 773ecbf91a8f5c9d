// Bundles of the own and of foreign trust domains.
import type { Transaction } from 'kysely';
import type { TrustDomain } from '../../../sdk/spiffe-id.ts';
import type { Bundle, DeleteBundleMode, Entry } from '../store.ts';
import { deleteEntries, updateEntries } from './entries.ts';
import { bundleOfRow, entryOfRow, rowOfBundle, type Tables } from './tables.ts';
import type { Write } from './transaction.ts';

export async function bundleOf(
  transaction: Transaction<Tables>,
  trustDomain: TrustDomain,
): Promise<Bundle | undefined> {
  const row = await transaction
    .selectFrom('bundles')
    .selectAll()
    .where('trust_domain', '=', trustDomain)
    .executeTakeFirst();
  return row && bundleOfRow(row);
}

/** Puts a bundle in the place of the one of its trust domain. */
export async function putBundle(write: Write, bundle: Bundle): Promise<void> {
  const { trustDomain } = bundle;
  write.record('bundle', trustDomain);
  await write.transaction.deleteFrom('bundles').where('trust_domain', '=', trustDomain).execute();
  await write.transaction.insertInto('bundles').values(rowOfBundle(bundle)).execute();
}

export async function updateBundle(
  write: Write,
  trustDomain: TrustDomain,
  change: (before: Bundle | undefined) => Bundle | undefined,
): Promise<Bundle | undefined> {
  const before = await bundleOf(write.transaction, trustDomain);
  const after = change(before);
  if (after === undefined) return before;
  const placed = { ...after, trustDomain };
  await putBundle(write, placed);
  return placed;
}

export async function deleteBundle(
  write: Write,
  trustDomain: TrustDomain,
  mode: DeleteBundleMode,
): Promise<'deleted' | 'missing' | 'referenced'> {
  if ((await bundleOf(write.transaction, trustDomain)) === undefined) return 'missing';
  const ids = await entriesFederatingWith(write, trustDomain);
  switch (mode) {
    case 'restrict':
      if (ids.length > 0) return 'referenced';
      break;
    case 'delete':
      await deleteEntries(write, ids);
      break;
    case 'dissociate':
      await updateEntries(
        write,
        ids.map((id) => ({ id, change: (entry) => withoutFederation(entry, trustDomain) })),
      );
  }
  write.record('bundle', trustDomain);
  await write.transaction.deleteFrom('bundles').where('trust_domain', '=', trustDomain).execute();
  return 'deleted';
}

async function entriesFederatingWith(write: Write, trustDomain: TrustDomain): Promise<string[]> {
  // LIKE finds more than it should (`_` is any character): the list itself decides.
  const rows = await write.transaction
    .selectFrom('entries')
    .selectAll()
    .where('federates_with', 'like', `%"${trustDomain}"%`)
    .execute();
  return rows
    .map(entryOfRow)
    .filter(({ federatesWith }) => federatesWith.includes(trustDomain))
    .map(({ id }) => id);
}

function withoutFederation(entry: Entry, trustDomain: TrustDomain): Entry {
  return { ...entry, federatesWith: entry.federatesWith.filter((name) => name !== trustDomain) };
}
