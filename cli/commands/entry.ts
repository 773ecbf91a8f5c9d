// svid entry list | show | delete
import {
  BatchDeleteEntryResponseSchema,
  Entry as EntryService,
  ListEntriesResponseSchema,
} from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { EntrySchema, type Entry } from '../../sdk/api/gen/spire/api/types/entry_pb.ts';
import { SelectorMatch_MatchBehavior } from '../../sdk/api/gen/spire/api/types/selector_pb.ts';
import { localClient, serverSocket } from '../endpoints.ts';
import { CliError, cliErrorOf, ExitCode } from '../errors.ts';
import { fields, note, print, printJson, timeOf, type OutputFormat } from '../output.ts';
import { idText, jsonOf, wireId, wireSelector } from '../wire.ts';

const PAGE_SIZE = 500;

interface CommonOptions {
  readonly socket?: string;
  readonly output: OutputFormat;
}

export async function list(
  options: CommonOptions & { spiffeId?: string; parentId?: string; selector?: string[] },
): Promise<void> {
  const filter = {
    ...(options.spiffeId === undefined ? {} : { bySpiffeId: wireId(options.spiffeId, '--spiffe-id') }),
    ...(options.parentId === undefined ? {} : { byParentId: wireId(options.parentId, '--parent-id') }),
    ...(options.selector === undefined
      ? {}
      : {
          bySelectors: {
            selectors: options.selector.map(wireSelector),
            match: SelectorMatch_MatchBehavior.MATCH_SUPERSET,
          },
        }),
  };
  const socket = serverSocket(options.socket);
  const entries: Entry[] = [];
  using client = localClient(socket);
  try {
    let pageToken = '';
    do {
      const page = await client.unary(EntryService.method.listEntries, {
        filter,
        pageSize: PAGE_SIZE,
        pageToken,
      });
      entries.push(...page.entries);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
  } catch (error) {
    throw cliErrorOf(error, `the server at ${socket}`);
  }
  entries.sort((left, right) => idText(left.spiffeId).localeCompare(idText(right.spiffeId)));
  if (options.output === 'json') printJson(jsonOf(ListEntriesResponseSchema, { entries }));
  else if (entries.length === 0) note('no entry matches');
  else print(entries.map(entryText).join('\n'));
}

export async function show(id: string, options: CommonOptions): Promise<void> {
  const socket = serverSocket(options.socket);
  using client = localClient(socket);
  const entry = await client.unary(EntryService.method.getEntry, { id }).catch((error: unknown) => {
    throw cliErrorOf(error, `entry ${id}`);
  });
  if (options.output === 'json') printJson(jsonOf(EntrySchema, entry));
  else print(entryText(entry));
}

export async function remove(ids: string[], options: CommonOptions): Promise<void> {
  const socket = serverSocket(options.socket);
  using client = localClient(socket);
  const answer = await client.unary(EntryService.method.batchDeleteEntry, { ids }).catch((error: unknown) => {
    throw cliErrorOf(error, `the server at ${socket}`);
  });
  if (options.output === 'json') printJson(jsonOf(BatchDeleteEntryResponseSchema, answer));
  const failed = answer.results.filter((result) => result.status?.code !== 0);
  for (const result of answer.results) {
    if (result.status?.code === 0) note(`deleted ${result.id}`);
    else note(`svid: error: ${result.id}: ${result.status?.message}`);
  }
  if (failed.length > 0) {
    throw new CliError(`${failed.length} of ${ids.length} entries could not be deleted`, {
      exitCode: failed.every((result) => result.status?.code === 5) ? ExitCode.notFound : ExitCode.failure,
    });
  }
}

/** An entry as lines, labelled as SPIRE's users know them. */
export function entryText(entry: Entry): string {
  const pairs: [string, string][] = [
    ['Entry ID', entry.id],
    ['SPIFFE ID', idText(entry.spiffeId)],
    ['Parent ID', idText(entry.parentId)],
    ['Revision', String(entry.revisionNumber)],
    ['X509-SVID TTL', entry.x509SvidTtl === 0 ? 'default' : `${entry.x509SvidTtl} s`],
    ...entry.selectors.map(({ type, value }): [string, string] => ['Selector', `${type}:${value}`]),
    ...entry.federatesWith.map((name): [string, string] => ['Federates with', name]),
    ...entry.dnsNames.map((name): [string, string] => ['DNS name', name]),
  ];
  if (entry.expiresAt !== 0n) pairs.push(['Expires', timeOf(entry.expiresAt)]);
  if (entry.hint !== '') pairs.push(['Hint', entry.hint]);
  if (entry.admin) pairs.push(['Admin', 'true']);
  if (entry.downstream) pairs.push(['Downstream', 'true']);
  return fields(pairs);
}
