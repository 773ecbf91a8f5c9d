// Where a mesh that `svid up` started keeps its sockets, and how other commands find the newest one.
// The folder lies below a shared temporary folder, so its owner and mode are checked before anything in it is trusted.
import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { Buffer } from 'node:buffer';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CliError } from './errors.ts';

// `<root>/<run>/run/impostor-admin.sock` must fit into the 107 bytes that Linux can bind.
const MAX_ROOT_BYTES = 60;

/** The folder of this user's meshes: `<tmp>/sigil-UID`. */
export function runtimeRoot(): string {
  const name = `sigil-${process.getuid?.() ?? 0}`;
  const root = join(tmpdir(), name);
  return Buffer.byteLength(root) <= MAX_ROOT_BYTES ? root : join('/tmp', name);
}

/**
 * Makes the root, mode 0700.
 *
 * @throws CliError if somebody else put something there.
 */
export function makeRuntimeRoot(): string {
  const root = runtimeRoot();
  mkdirSync(root, { recursive: true, mode: 0o700 });
  if (!isOurs(root)) {
    throw new CliError(`${root} exists, and is not a folder that only you can enter`, {
      hint: `remove it, or set TMPDIR to a folder of your own`,
    });
  }
  return root;
}

/** The folder of the newest mesh that is up, or undefined. */
export function currentMesh(): string | undefined {
  const root = runtimeRoot();
  try {
    return isOurs(root) ? readlinkSync(join(root, 'current')) : undefined;
  } catch {
    return undefined;
  }
}

/** Makes `folder` the newest mesh. */
export function setCurrentMesh(folder: string): void {
  const link = join(runtimeRoot(), 'current');
  rmSync(link, { force: true });
  symlinkSync(folder, link);
}

/** Takes the mark away again if it still names `folder`; an older mesh that is still up is then the newest. */
export function clearCurrentMesh(folder: string): void {
  if (currentMesh() !== folder) return;
  const root = runtimeRoot();
  rmSync(join(root, 'current'), { force: true });
  const older = readdirSync(root)
    .map((name) => join(root, name))
    .filter((place) => place !== folder && existsSync(join(place, 'run')))
    .sort()
    .at(-1);
  if (older !== undefined) setCurrentMesh(older);
}

function isOurs(folder: string): boolean {
  try {
    const found = lstatSync(folder);
    return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0;
  } catch {
    return false;
  }
}
