// Relationships: where the bundles of foreign trust domains are fetched.
import type { TrustDomain } from '../../../sdk/spiffe-id.ts';
import type { Relationship, Store } from '../store.ts';
import { bundleOf, putBundle } from './bundles.ts';
import { relationshipOfRow } from './tables.ts';
import type { Write } from './transaction.ts';

export async function updateRelationship(
  write: Write,
  trustDomain: TrustDomain,
  change: Parameters<Store['updateRelationship']>[1],
): Promise<Relationship | undefined> {
  const { transaction } = write;
  const row = await transaction
    .selectFrom('relationships')
    .selectAll()
    .where('trust_domain', '=', trustDomain)
    .executeTakeFirst();
  const before = row && relationshipOfRow(row);
  const after = change(before, await bundleOf(transaction, trustDomain));
  if (after === undefined) return before;
  const { bundleEndpointUrl, endpointSpiffeId } = after.relationship;
  await deleteRelationship(write, trustDomain);
  await transaction
    .insertInto('relationships')
    .values({
      trust_domain: trustDomain,
      bundle_endpoint_url: bundleEndpointUrl,
      endpoint_spiffe_id: endpointSpiffeId ?? '',
    })
    .execute();
  if (before === undefined) write.record('relationship', trustDomain);
  if (after.bundle !== undefined) await putBundle(write, { ...after.bundle, trustDomain });
  return { trustDomain, bundleEndpointUrl, endpointSpiffeId };
}

export async function deleteRelationship(write: Write, trustDomain: TrustDomain): Promise<boolean> {
  const { numDeletedRows } = await write.transaction
    .deleteFrom('relationships')
    .where('trust_domain', '=', trustDomain)
    .executeTakeFirstOrThrow();
  if (numDeletedRows === 0n) return false;
  write.record('relationship', trustDomain);
  return true;
}
