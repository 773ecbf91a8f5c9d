// The transport of the runtime that this process is. Each implementation is loaded only where it runs.
import type { Transport } from './socket.ts';

/** Loads the stream sockets of this runtime. */
export async function loadTransport(): Promise<Transport> {
  if ('Bun' in globalThis) return (await import('./bun.ts')).bunTransport();
  return (await import('./node.ts')).nodeTransport();
}
