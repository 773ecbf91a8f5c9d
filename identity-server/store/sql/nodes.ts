// Writing attested nodes.
import type { SpiffeId } from '../../../sdk/spiffe-id.ts';
import type { AttestedNode, NewNode } from '../store.ts';
import { deleteEntries } from './entries.ts';
import { nodeOfRow, rowOfNode } from './tables.ts';
import type { Write } from './transaction.ts';

export async function putNode(
  write: Write,
  node: NewNode,
  judge?: (before: AttestedNode | undefined) => void,
): Promise<AttestedNode> {
  const before = await nodeById(write, node.id);
  judge?.(before);
  const revision = write.record('node', node.id);
  const placed = { ...node, sequence: before?.sequence ?? revision };
  if (before === undefined) {
    await write.transaction.insertInto('nodes').values(rowOfNode(placed)).execute();
  } else {
    await save(write, placed);
  }
  return placed;
}

export async function updateNode(
  write: Write,
  id: SpiffeId,
  change: (node: AttestedNode) => AttestedNode | undefined,
): Promise<AttestedNode | undefined> {
  const before = await nodeById(write, id);
  if (before === undefined) return undefined;
  const changed = change(before);
  if (changed === undefined) return before;
  const after = { ...changed, id, sequence: before.sequence };
  write.record('node', id);
  await save(write, after);
  return after;
}

export async function deleteNode(write: Write, id: SpiffeId, entryIds: readonly string[]): Promise<boolean> {
  const { numDeletedRows } = await write.transaction
    .deleteFrom('nodes')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  if (numDeletedRows === 0n) return false;
  write.record('node', id);
  await deleteEntries(write, entryIds);
  return true;
}

async function nodeById({ transaction }: Write, id: SpiffeId): Promise<AttestedNode | undefined> {
  const row = await transaction.selectFrom('nodes').selectAll().where('id', '=', id).executeTakeFirst();
  return row && nodeOfRow(row);
}

async function save({ transaction }: Write, node: AttestedNode): Promise<void> {
  await transaction.updateTable('nodes').set(rowOfNode(node)).where('id', '=', node.id).execute();
}
