// svid entry list | show | count
import {
  CountEntriesResponseSchema,
  Entry as EntryService,
  ListEntriesResponseSchema,
} from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import { EntrySchema, type Entry } from '../../sdk/api/gen/spire/api/types/entry_pb.ts';
import { fields, note, print, printJson, timeOf } from '../output.ts';
import { allPages, withServer, type ServerOptions } from '../server-call.ts';
import { idText, jsonOf, matchBehavior, wireId, wireSelector, type MatchName } from '../wire.ts';

const PAGE_SIZE = 500;

/** Options that choose among entries. */
export interface EntryFilterOptions {
  readonly spiffeId?: string;
  readonly parentId?: string;
  readonly selector?: string[];
  readonly matchSelectors?: MatchName;
  readonly federatesWith?: string[];
  readonly matchFederatesWith?: MatchName;
  readonly hint?: string;
  readonly downstream?: boolean;
}

export async function list(options: ServerOptions & EntryFilterOptions): Promise<void> {
  const filter = filterOf(options);
  const entries = await withServer(options, (client) =>
    allPages(
      (pageToken) =>
        client.unary(EntryService.method.listEntries, { filter, pageSize: PAGE_SIZE, pageToken }),
      (page) => page.entries,
    ),
  );
  entries.sort((left, right) => idText(left.spiffeId).localeCompare(idText(right.spiffeId)));
  if (options.output === 'json') printJson(jsonOf(ListEntriesResponseSchema, { entries }));
  else if (entries.length === 0) note('no entry matches');
  else print(entries.map(entryText).join('\n'));
}

export async function count(options: ServerOptions & EntryFilterOptions): Promise<void> {
  const answer = await withServer(options, (client) =>
    client.unary(EntryService.method.countEntries, { filter: filterOf(options) }),
  );
  if (options.output === 'json') printJson(jsonOf(CountEntriesResponseSchema, answer));
  else print(`${answer.count}\n`);
}

export async function show(id: string, options: ServerOptions): Promise<void> {
  const entry = await withServer(
    options,
    (client) => client.unary(EntryService.method.getEntry, { id }),
    `entry ${id}`,
  );
  if (options.output === 'json') printJson(jsonOf(EntrySchema, entry));
  else print(entryText(entry));
}

function filterOf(options: EntryFilterOptions) {
  const { spiffeId, parentId, selector, federatesWith, hint, downstream } = options;
  return {
    bySpiffeId: spiffeId === undefined ? undefined : wireId(spiffeId, '--spiffe-id'),
    byParentId: parentId === undefined ? undefined : wireId(parentId, '--parent-id'),
    bySelectors:
      selector === undefined
        ? undefined
        : { selectors: selector.map(wireSelector), match: matchBehavior(options.matchSelectors) },
    byFederatesWith:
      federatesWith === undefined
        ? undefined
        : { trustDomains: federatesWith, match: matchBehavior(options.matchFederatesWith) },
    byHint: hint,
    byDownstream: downstream,
  };
}

/** An entry as lines, labelled as SPIRE's users know them. */
export function entryText(entry: Entry): string {
  const ttl = (seconds: number) => (seconds === 0 ? 'default' : `${seconds} s`);
  const pairs: [string, string][] = [
    ['Entry ID', entry.id],
    ['SPIFFE ID', idText(entry.spiffeId)],
    ['Parent ID', idText(entry.parentId)],
    ['Revision', String(entry.revisionNumber)],
    ['X509-SVID TTL', ttl(entry.x509SvidTtl)],
    ['JWT-SVID TTL', ttl(entry.jwtSvidTtl)],
    ...entry.selectors.map(({ type, value }): [string, string] => ['Selector', `${type}:${value}`]),
    ...entry.federatesWith.map((name): [string, string] => ['Federates with', name]),
    ...entry.dnsNames.map((name): [string, string] => ['DNS name', name]),
  ];
  if (entry.expiresAt !== 0n) pairs.push(['Expires', timeOf(entry.expiresAt)]);
  if (entry.hint !== '') pairs.push(['Hint', entry.hint]);
  if (entry.admin) pairs.push(['Admin', 'true']);
  if (entry.downstream) pairs.push(['Downstream', 'true']);
  if (entry.storeSvid) pairs.push(['Store SVID', 'true']);
  if (entry.additionalAttributes?.disableX509SvidPrefetch === true) pairs.push(['X509-SVID prefetch', 'off']);
  if (entry.additionalAttributes?.jwtSvidIncludeJti === true) pairs.push(['JWT-SVID jti', 'true']);
  return fields(pairs);
}
