// Listening, with errors that name the address and the option, and Unix sockets that clean up after a crash.
import { Buffer } from 'node:buffer';
import { chmod, lstat, rm } from 'node:fs/promises';
import { connect, type Server } from 'node:net';

// Connections that wait to be accepted, as many as the kernel allows: with Node's 511, a herd of agents after an outage
// finds the queue full, and those who did not get in try again only after a second, three, seven.
const BACKLOG = 65_535;

/** Linux: `sun_path` holds 108 bytes with the closing NUL. */
export const MAX_SOCKET_PATH_BYTES = 107;

/**
 * Binds a TCP listener.
 *
 * @throws Error that names the address, and the configuration key `option`.
 */
export async function listenTcp(
  server: Server,
  address: string,
  port: number,
  option: string,
): Promise<number> {
  await listen(server, { host: address, port, exclusive: true, backlog: BACKLOG }).catch(
    (error: NodeJS.ErrnoException) => {
      const place = `${address}:${port} (${option})`;
      if (error.code === 'EADDRINUSE')
        throw new Error(`${place} is in use by another program; choose another port`);
      throw new Error(`cannot listen on ${place}: ${error.message}`, { cause: error });
    },
  );
  const bound = server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : port;
}

/**
 * Binds a Unix socket with the given mode. A socket file that nobody listens on any more is replaced; one that answers,
 * or that is no socket, is left alone.
 *
 * @throws Error that names the path and `option`.
 */
export async function listenUnix(server: Server, path: string, mode: number, option: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new Error(
      `the socket path ${path} (${option}) is longer than ${MAX_SOCKET_PATH_BYTES} bytes, which Linux cannot bind`,
    );
  }
  await removeStaleSocket(path, option);
  // The file must never be open to others for the moment between bind and chmod.
  const mask = process.umask(0o177);
  try {
    await listen(server, { path, backlog: BACKLOG });
  } catch (error) {
    throw new Error(`cannot listen on ${path} (${option}): ${(error as Error).message}`, { cause: error });
  } finally {
    process.umask(mask);
  }
  await chmod(path, mode);
}

function listen(
  server: Server,
  options: { host?: string; port?: number; path?: string; exclusive?: boolean; backlog?: number },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function removeStaleSocket(path: string, option: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`${path} (${option}) exists and is no socket`);
  if (await answers(path)) throw new Error(`${path} (${option}) is in use by another program`);
  await rm(path, { force: true });
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
