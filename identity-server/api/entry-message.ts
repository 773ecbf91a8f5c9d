// Entries on the wire: both directions, and what a mask leaves of one.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type {
  Entry as EntryMessage,
  EntryMask,
  EntrySchema,
} from '../../sdk/api/gen/spire/api/types/entry_pb.ts';
import { parseTrustDomain, type TrustDomain } from '../../sdk/spiffe-id.ts';
import type { Entry, NewEntry, Selector } from '../store/store.ts';
import { selectorKey } from '../entry/similarity.ts';
import { idMessage, memberIdOf } from './convert.ts';

/** An entry as a message; a mask that is absent lets everything through, the ID is always there. */
export function entryMessage(
  entry: Entry,
  mask: EntryMask | undefined,
): MessageInitShape<typeof EntrySchema> {
  const has = (field: keyof Omit<EntryMask, '$typeName' | '$unknown'>) => mask === undefined || mask[field];
  return {
    id: entry.id,
    spiffeId: has('spiffeId') ? idMessage(entry.spiffeId) : undefined,
    parentId: has('parentId') ? idMessage(entry.parentId) : undefined,
    selectors: has('selectors') ? entry.selectors.map(({ type, value }) => ({ type, value })) : [],
    x509SvidTtl: has('x509SvidTtl') ? entry.x509SvidTtl : 0,
    federatesWith: has('federatesWith') ? [...entry.federatesWith] : [],
    admin: has('admin') && entry.admin,
    downstream: has('downstream') && entry.downstream,
    expiresAt: has('expiresAt') ? BigInt(entry.expiresAt) : 0n,
    dnsNames: has('dnsNames') ? [...entry.dnsNames] : [],
    revisionNumber: has('revisionNumber') ? BigInt(entry.revisionNumber) : 0n,
    storeSvid: has('storeSvid') && entry.storeSvid,
    jwtSvidTtl: has('jwtSvidTtl') ? entry.jwtSvidTtl : 0,
    hint: has('hint') ? entry.hint : '',
    createdAt: has('createdAt') ? BigInt(entry.createdAt) : 0n,
    additionalAttributes:
      has('additionalAttributes') && (entry.disableX509SvidPrefetch || entry.jwtSvidIncludeJti)
        ? {
            disableX509SvidPrefetch: entry.disableX509SvidPrefetch,
            jwtSvidIncludeJti: entry.jwtSvidIncludeJti,
          }
        : undefined,
  };
}

/** What a caller may set of an entry. */
export type EntryInput = Omit<NewEntry, 'createdAt'>;

type Field = Exclude<keyof EntryMask, '$typeName' | '$unknown' | 'revisionNumber' | 'createdAt'>;
type Reader = (message: EntryMessage, trustDomain: TrustDomain) => Partial<EntryInput>;

// Field by field, so that an update reads only what its mask names.
const READERS: Readonly<Record<Field, Reader>> = {
  parentId: (message, trustDomain) => ({
    parentId: named('invalid parent ID', () => memberIdOf(message.parentId, trustDomain)),
  }),
  spiffeId: (message, trustDomain) => ({
    spiffeId: named('invalid spiffe ID', () => memberIdOf(message.spiffeId, trustDomain)),
  }),
  selectors: (message) => ({ selectors: uniqueSelectors(message.selectors) }),
  x509SvidTtl: ({ x509SvidTtl }) => ({ x509SvidTtl }),
  jwtSvidTtl: ({ jwtSvidTtl }) => ({ jwtSvidTtl }),
  federatesWith: (message) => ({
    federatesWith: named('invalid federated trust domain', () => [
      ...new Set(message.federatesWith.map(parseTrustDomain)),
    ]),
  }),
  admin: ({ admin }) => ({ admin }),
  downstream: ({ downstream }) => ({ downstream }),
  expiresAt: ({ expiresAt }) => ({ expiresAt: Number(expiresAt) }),
  dnsNames: ({ dnsNames }) => ({ dnsNames: [...dnsNames] }),
  storeSvid: ({ storeSvid }) => ({ storeSvid }),
  hint: ({ hint }) => ({ hint }),
  additionalAttributes: ({ additionalAttributes }) => ({
    disableX509SvidPrefetch: additionalAttributes?.disableX509SvidPrefetch ?? false,
    jwtSvidIncludeJti: additionalAttributes?.jwtSvidIncludeJti ?? false,
  }),
};

/**
 * Reads an entry. Its form is checked here, its rules in `entry/validate.ts`.
 *
 * @throws Error with what is wrong.
 */
export function entryInputOf(message: EntryMessage, trustDomain: TrustDomain): EntryInput {
  return { id: message.id, ...entryChangesOf(message, undefined, trustDomain) } as EntryInput;
}

/** Those fields of `message` that a mask names; an absent mask names all. */
export function entryChangesOf(
  message: EntryMessage,
  mask: EntryMask | undefined,
  trustDomain: TrustDomain,
): Partial<EntryInput> {
  const changes: Partial<EntryInput> = {};
  for (const [field, read] of Object.entries(READERS) as [Field, Reader][]) {
    if (mask === undefined || mask[field]) Object.assign(changes, read(message, trustDomain));
  }
  return changes;
}

function uniqueSelectors(selectors: readonly Selector[]): Selector[] {
  return [
    ...new Map(selectors.map(({ type, value }) => [selectorKey({ type, value }), { type, value }])).values(),
  ];
}

function named<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
  }
}
