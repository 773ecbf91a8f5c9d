// The SHA-256 of a running executable, read through /proc/PID/exe: that is the file that runs, whatever now lies under
// its name.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

/** Hashes executables. */
export interface ExecutableHasher {
  /**
   * The hash of the executable of a process, lower-case hexadecimal.
   *
   * @throws Error if it cannot be read or is larger than the limit.
   */
  hash(pid: number, signal: AbortSignal): Promise<string>;
}

/** Options of {@link createExecutableHasher}. */
export interface ExecutableHasherOptions {
  /** The largest file that is hashed. */
  readonly maxBytes: number;
  /** Where the processes are. Default /proc. */
  readonly proc?: string;
}

const CHUNK = 256 * 1024;
const MAX_CACHED = 1_024;

export function createExecutableHasher(options: ExecutableHasherOptions): ExecutableHasher {
  // By device, inode, size, and both times: the owner can set mtime back, but not ctime.
  const cache = new Map<string, string>();
  return {
    async hash(pid, signal) {
      const handle = await open(`${options.proc ?? '/proc'}/${pid}/exe`, 'r');
      try {
        const identity = async () => {
          const { dev, ino, size, mtimeNs, ctimeNs } = await handle.stat({ bigint: true });
          return { size, key: `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}` };
        };
        const { size, key } = await identity();
        if (size > BigInt(options.maxBytes)) {
          throw new Error(`the executable has ${size} bytes; unix.sha256_max_bytes is ${options.maxBytes}`);
        }
        const known = cache.get(key);
        if (known !== undefined) return known;
        const hash = createHash('sha256');
        const chunk = new Uint8Array(CHUNK);
        for (let position = 0; ;) {
          signal.throwIfAborted();
          const { bytesRead } = await handle.read(chunk, 0, CHUNK, position);
          if (bytesRead === 0) break;
          hash.update(chunk.subarray(0, bytesRead));
          position += bytesRead;
          if (position > options.maxBytes) throw new Error('the executable grew while it was read');
        }
        if ((await identity()).key !== key) throw new Error('the executable changed while it was read');
        const digest = hash.digest('hex');
        if (cache.size >= MAX_CACHED) cache.delete(cache.keys().next().value!);
        cache.set(key, digest);
        return digest;
      } finally {
        await handle.close();
      }
    },
  };
}
