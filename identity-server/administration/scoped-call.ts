// A call of a limited administrator, and what the rules for it share.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { SpiffeId, TrustDomain } from '../../sdk/spiffe-id.ts';
import type { Context } from '../api/caller.ts';
import type { Registry } from '../entry/registry.ts';
import type { Store } from '../store/store.ts';
import type { Reach } from './judge-entry.ts';
import type { Scope } from './scope.ts';

/** What the rules need of the server. */
export interface ScopedOptions {
  readonly registry: Registry;
  readonly store: Store;
  readonly trustDomain: TrustDomain;
  /** Everybody whom the configuration makes an administrator, with limits or without. */
  readonly administrators: ReadonlySet<SpiffeId>;
}

export type Handler = (request: unknown, context: Context) => Promise<unknown>;

/** One call. */
export interface ScopedCall {
  readonly request: unknown;
  readonly context: Context;
  readonly scope: Scope;
  readonly options: ScopedOptions;
  readonly reach: Reach;
  /** The handler behind the rule, for this request or one like it. */
  readonly next: (request: unknown) => Promise<unknown>;
  /** Another handler of the same service. */
  readonly other: (localName: string, request: unknown) => Promise<unknown>;
}

/** Answers a call within its scope. */
export type Rule = (call: ScopedCall) => Promise<unknown>;

/** Passes a call on: the RPC concerns no ID, and naming it in `rpcs` is all that it takes. */
export const pass: Rule = ({ request, next }) => next(request);

export function outside(why: string): RpcError {
  return new RpcError('PERMISSION_DENIED', why);
}

/** Throws why not, if there is a reason. */
export function expectNoRefusal(why: string | undefined): void {
  if (why !== undefined) throw outside(why);
}

export function reachOf({ registry, administrators }: ScopedOptions): Reach {
  return {
    isPrivileged: (id) =>
      administrators.has(id) || registry.hasRole(id, 'admin') || registry.hasRole(id, 'downstream'),
    childrenOf: (id) => registry.entries.childrenOf(id),
  };
}

const PAGE_SIZE = 1_000;

interface Listing {
  readonly nextPageToken: string;
}

/** Every page of a listing, in turn. */
export async function* pagesOf(
  { other }: ScopedCall,
  localName: string,
  request: object,
): AsyncGenerator<Listing, void, undefined> {
  let pageToken = '';
  do {
    const page = (await other(localName, { ...request, pageSize: PAGE_SIZE, pageToken })) as Listing;
    yield page;
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}

/** Results in the order of the items: of those that were refused, and of those that went on. */
export async function itemwise<Item, Result>(
  items: readonly Item[],
  refuse: (item: Item) => Promise<Result | undefined> | Result | undefined,
  goOn: (items: Item[]) => Promise<readonly Result[]>,
): Promise<Result[]> {
  const refusals: (Result | undefined)[] = [];
  for (const item of items) refusals.push(await refuse(item));
  const allowed = items.filter((_, index) => refusals[index] === undefined);
  const results = (allowed.length === 0 ? [] : await goOn(allowed)).values();
  return refusals.map((refusal) => refusal ?? results.next().value!);
}
