// For tests only: folders, logs, clients and waiting.
import { credentials } from '@grpc/grpc-js';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog, type Logger, type LogLevel } from '../../daemon/log.ts';
import { SpiffeWorkloadAPI, type X509SVIDResponse } from '../../sdk/api/gen/spiffe/workload/workload_pb.ts';
import { GrpcClient } from '../../sdk/grpc/client.ts';

/** A folder of its own; dispose it. */
export function temporaryFolder(): Disposable & { readonly path: string; file(name: string): string } {
  const path = mkdtempSync(join(tmpdir(), 'agent-'));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** A log that keeps its lines. */
export function capturedLog(level: LogLevel = 'trace'): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  return {
    log: createLog({ name: 'test', level, destination: { write: (line) => void lines.push(line) } }),
    lines,
  };
}

export const HEADER = { 'workload.spiffe.io': 'true' };

/** A client over a Unix socket, on a connection of its own. */
export function unixClient(path: string): GrpcClient {
  return new GrpcClient(`unix:${path}`, credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
}

/** Opens FetchX509SVID. */
export function watchSvids(
  client: GrpcClient,
  signal?: AbortSignal,
): AsyncGenerator<X509SVIDResponse, void, undefined> {
  return client.serverStream(SpiffeWorkloadAPI.method.fetchX509SVID, {}, { metadata: HEADER, signal });
}

/** The first message of FetchX509SVID. */
export async function fetchSvids(client: GrpcClient): Promise<X509SVIDResponse> {
  for await (const message of watchSvids(client)) return message;
  throw new Error('the stream ended without a message');
}

/** Waits until something holds. */
export async function eventually<T>(
  find: () => T | undefined | false | Promise<T | undefined | false>,
  what: string,
  limit = 10_000,
): Promise<T> {
  for (const deadline = Date.now() + limit; ;) {
    const found = await find();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`${what} did not happen within ${limit} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits for a file or socket. */
export async function appears(path: string): Promise<void> {
  await eventually(() => existsSync(path), path);
}
