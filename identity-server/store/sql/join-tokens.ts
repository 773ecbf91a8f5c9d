// Join tokens: kept as digests, given to one taker.
import type { Transaction } from 'kysely';
import type { JoinToken, NewEntry } from '../store.ts';
import { createEntries } from './entries.ts';
import type { Tables } from './tables.ts';
import type { Write } from './transaction.ts';

export async function createJoinToken(write: Write, token: JoinToken, entry?: NewEntry): Promise<boolean> {
  if (await hasJoinToken(write.transaction, token.digest)) return false;
  await write.transaction
    .insertInto('join_tokens')
    .values({ digest: token.digest, expires_at: token.expiresAt })
    .execute();
  if (entry !== undefined) await createEntries(write, [entry]);
  return true;
}

export async function hasJoinToken(transaction: Transaction<Tables>, digest: string): Promise<boolean> {
  const row = await transaction
    .selectFrom('join_tokens')
    .select('digest')
    .where('digest', '=', digest)
    .executeTakeFirst();
  return row !== undefined;
}

export async function takeJoinToken({ transaction }: Write, digest: string): Promise<JoinToken | undefined> {
  const row = await transaction
    .selectFrom('join_tokens')
    .selectAll()
    .where('digest', '=', digest)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  await transaction.deleteFrom('join_tokens').where('digest', '=', digest).execute();
  return { digest: row.digest, expiresAt: row.expires_at };
}

export async function deleteJoinTokensExpiredBefore(
  { transaction }: Write,
  seconds: number,
): Promise<number> {
  const { numDeletedRows } = await transaction
    .deleteFrom('join_tokens')
    .where('expires_at', '<', seconds)
    .executeTakeFirstOrThrow();
  return Number(numDeletedRows);
}
