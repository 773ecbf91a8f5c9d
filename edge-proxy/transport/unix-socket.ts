// Binding Unix sockets: a file that nobody listens on any more is replaced, one that answers is left alone, and the
// new one is never open to other users, not even between bind and chmod.
import { chmod, lstat, rm } from 'node:fs/promises';
import process from 'node:process';

/** Binds by `bind` at `path`, mode 0600. `answers` tells whether somebody listens there now. */
export async function bindUnixSocket<T>(
  path: string,
  answers: () => Promise<boolean>,
  bind: () => T | Promise<T>,
): Promise<T> {
  const found = await lstat(path).catch(() => undefined);
  if (found !== undefined) {
    if (!found.isSocket()) throw new Error(`${path} exists and is no socket`);
    if (await answers()) throw new Error(`unix:${path} is in use by another program`);
    await rm(path, { force: true });
  }
  const mask = process.umask(0o177);
  let bound: T;
  try {
    bound = await bind();
  } finally {
    process.umask(mask);
  }
  await chmod(path, 0o600);
  return bound;
}

/** The error of a failed bind, which names the address. */
export function bindError(address: string, cause: unknown): Error {
  const code = (cause as { code?: string }).code;
  const problem =
    code === 'EADDRINUSE' ? 'is in use by another program' : `cannot be bound: ${(cause as Error).message}`;
  return Object.assign(new Error(`${address} ${problem}`, { cause }), { code });
}
