// The name by which a server knows its own keys among those of others on the same database.
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writePrivateFile } from '../daemon/files.ts';

/** The name of the file in the data folder. It belongs to `keys.json`: who copies one copies both. */
export const SERVER_NAME_FILE = 'server-name';

/**
 * Reads the name, or makes one at the first start.
 *
 * @throws Error that names the file and what to do.
 */
export async function openServerName(folder: string): Promise<string> {
  const file = join(folder, SERVER_NAME_FILE);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new Error(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
    }
    const name = randomUUID();
    await writePrivateFile(file, `${name}\n`);
    return name;
  }
  const name = text.trim();
  if (/^[0-9a-f-]{36}$/.test(name)) return name;
  throw new Error(`${file} is damaged: remove it, and this server gets a new name and new keys`);
}
