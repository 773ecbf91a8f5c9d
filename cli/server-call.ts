// Talking to the identity server: its local socket, errors that name it, pages, and what became of each item of a batch.
import type { GrpcClient } from '../sdk/grpc/client.ts';
import { localClient, serverSocket } from './endpoints.ts';
import { CliError, cliErrorOf, ExitCode } from './errors.ts';
import { note, type OutputFormat } from './output.ts';

/** Options of every command that asks the server. */
export interface ServerOptions {
  readonly socket?: string;
  readonly output: OutputFormat;
}

/** Runs `work` with a client of the server; `what` is what was asked for (default: the server). */
export async function withServer<T>(
  options: Pick<ServerOptions, 'socket'>,
  work: (client: GrpcClient) => Promise<T>,
  what?: string,
): Promise<T> {
  const socket = serverSocket(options.socket);
  using client = localClient(socket);
  try {
    return await work(client);
  } catch (error) {
    throw cliErrorOf(error, what ?? `the server at ${socket}`);
  }
}

/** Everything that a listing has, page by page. */
export async function allPages<Page extends { readonly nextPageToken: string }, Item>(
  fetch: (pageToken: string) => Promise<Page>,
  itemsOf: (page: Page) => readonly Item[],
): Promise<Item[]> {
  const items: Item[] = [];
  let pageToken = '';
  do {
    const page = await fetch(pageToken);
    items.push(...itemsOf(page));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return items;
}

/** One item's part of an answer to a batch. */
export interface ItemResult {
  readonly status?: { readonly code: number; readonly message: string };
}

const NOT_FOUND = 5;

/**
 * Says which items of a batch failed, and fails if one did.
 *
 * @param nameOf how the item at a place is called.
 */
export function expectAllWell(
  results: readonly ItemResult[],
  nameOf: (index: number) => string,
  failed: string,
): void {
  const bad = [...results.entries()].filter(([, { status }]) => status?.code !== 0);
  for (const [index, { status }] of bad)
    note(`svid: error: ${nameOf(index)}: ${status?.message ?? 'no status'}`);
  if (bad.length === 0) return;
  throw new CliError(`${bad.length} of ${results.length} ${failed}`, {
    exitCode: bad.every(([, { status }]) => status?.code === NOT_FOUND)
      ? ExitCode.notFound
      : ExitCode.failure,
  });
}
