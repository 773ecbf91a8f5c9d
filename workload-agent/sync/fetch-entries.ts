// SyncAuthorizedEntries: small sets come whole; of large ones the server sends revisions, and we ask for what changed.
import type { Logger } from '../../daemon/log.ts';
import {
  Entry,
  type SyncAuthorizedEntriesResponse,
} from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import type { Entry as EntryMessage } from '../../sdk/api/gen/spire/api/types/entry_pb.ts';
import { messageOf } from '../../sdk/error.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import type { WorkloadEntry } from '../svid-cache/entry.ts';
import { planEntries } from './plan.ts';
import { readEntry } from './read-entry.ts';

// The fields that an agent needs; the revision is mandatory.
const MASK = {
  spiffeId: true,
  selectors: true,
  federatesWith: true,
  admin: true,
  downstream: true,
  revisionNumber: true,
  storeSvid: true,
  hint: true,
  createdAt: true,
  additionalAttributes: true,
};

// All pages together; each page is waited for no longer than a call may take.
const SYNC_TIMEOUT = 60_000;
// A request of this many ids stays far below gRPC's 4 MiB.
const IDS_PER_REQUEST = 5_000;

/** What {@link fetchEntries} needs. */
export interface FetchEntriesOptions {
  readonly client: GrpcClient;
  readonly trustDomain: TrustDomain;
  readonly known: ReadonlyMap<string, WorkloadEntry>;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** All entries that this agent is authorised for. */
export async function fetchEntries(options: FetchEntriesOptions): Promise<Map<string, WorkloadEntry>> {
  const { client, signal } = options;
  const stream = client.bidiStream(Entry.method.syncAuthorizedEntries, { timeout: SYNC_TIMEOUT, signal });
  const pages = stream.messages;
  try {
    stream.send({ outputMask: MASK });
    const first = await nextPage(pages);
    if (first.entryRevisions.length === 0) {
      const whole = [first.entries];
      for (let page = first; page.more; whole.push(page.entries)) page = await nextPage(pages);
      return read(whole.flat(), options);
    }
    const revisions = [...first.entryRevisions];
    for (let page = first; page.more;) {
      page = await nextPage(pages);
      revisions.push(...page.entryRevisions);
    }
    const { kept, wanted } = planEntries(
      options.known,
      revisions.map(({ id, revisionNumber, createdAt }) => ({ id, revision: revisionNumber, createdAt })),
    );
    const fetched: EntryMessage[] = [];
    for (let start = 0; start < wanted.length; start += IDS_PER_REQUEST) {
      stream.send({ ids: wanted.slice(start, start + IDS_PER_REQUEST) });
      for (let more = true; more;) {
        const page = await nextPage(pages);
        fetched.push(...page.entries);
        more = page.more;
      }
    }
    return new Map([...kept, ...read(fetched, options)]);
  } finally {
    stream.close();
    await pages.return(undefined);
  }
}

async function nextPage(
  pages: AsyncGenerator<SyncAuthorizedEntriesResponse, void, undefined>,
): Promise<SyncAuthorizedEntriesResponse> {
  const result = await pages.next();
  if (result.done === true) throw new Error('the server ended the sync early');
  return result.value;
}

function read(messages: readonly EntryMessage[], options: FetchEntriesOptions): Map<string, WorkloadEntry> {
  const entries = new Map<string, WorkloadEntry>();
  for (const message of messages) {
    try {
      entries.set(message.id, readEntry(message, options.trustDomain));
    } catch (error) {
      // One entry that we cannot serve must not cost the others.
      options.log.warn({ entry: message.id, reason: messageOf(error) }, 'left out an entry');
    }
  }
  return entries;
}
