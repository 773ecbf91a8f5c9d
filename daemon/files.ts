// Files that hold keys or state: never half written, never readable by others.
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Writes a file as a whole: to a new file of mode 0600 beside it, synced, then renamed over it. A reader sees the old
 * content or the new, also after a crash.
 */
export async function writePrivateFile(file: string, content: string | Uint8Array): Promise<void> {
  const folder = dirname(file);
  const temporary = join(folder, `.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  // The rename itself must survive a crash, too.
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

// Node's own recursive mkdir asks for ever where a parent exists and takes no folders, such as /proc.
async function makeFolders(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    const parent = dirname(folder);
    if (code !== 'ENOENT' || parent === folder || existsSync(parent)) throw error;
    await makeFolders(parent);
    await mkdir(folder, { mode: 0o700 });
  }
}

/**
 * Makes a folder that only its owner can enter, or checks that an existing one is usable.
 *
 * @throws Error that names the folder and what to do.
 */
export async function makePrivateFolder(folder: string): Promise<void> {
  try {
    await makeFolders(folder);
    const found = await stat(folder);
    if (!found.isDirectory()) throw new Error('it is no folder');
    const uid = process.getuid?.();
    if (uid !== undefined && found.uid !== uid) {
      throw new Error(`it belongs to uid ${found.uid}, and this process runs as uid ${uid}`);
    }
    if ((found.mode & 0o077) !== 0) await chmod(folder, 0o700);
    // Root writes anywhere by mode bits alone; only trying tells about a read-only file system.
    const probe = join(folder, `.${randomBytes(6).toString('hex')}.probe`);
    await (await open(probe, 'wx', 0o600)).close();
    await rm(probe);
  } catch (error) {
    throw new Error(`the data folder ${folder} cannot be used: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
