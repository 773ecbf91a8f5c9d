// Pages of a listing. The token is the key of the last item of the page before (opaque to callers). No answer is larger
// than a plain gRPC client takes: a page ends early, and a call without pages fails and says how to ask instead.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { MAX_ANSWER_BYTES, sizeOf } from './message-size.ts';

/** One page, and the token of the next one if there is more. */
export interface Page<Message> {
  readonly items: Message[];
  readonly nextPageToken: string;
}

/** What is asked for. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** How items are found and written. */
export interface Listing<Item, Message> {
  /** What items are in the order of. */
  readonly order: 'number' | 'name';
  /** Where an item stands in that order. */
  readonly keyOf: (item: Item) => number | string;
  /** Default: every item. */
  readonly wanted?: (item: Item) => boolean;
  readonly messageOf: (item: Item) => Message;
}

/** The most items of one page, whatever was asked for. */
export const MAX_PAGE_SIZE = 5_000;

/** A page of items that are in the order of their keys. A size of 0 means no paging. */
export function pageOf<Item, Message>(
  items: Iterable<Item>,
  request: PageRequest,
  { order, keyOf, wanted = () => true, messageOf }: Listing<Item, Message>,
): Page<Message> {
  const { pageSize, pageToken } = request;
  if (pageSize < 0) throw new RpcError('INVALID_ARGUMENT', 'page_size must not be negative');
  const after = tokenOf(pageToken, order);
  const most = pageSize === 0 ? Infinity : Math.min(pageSize, MAX_PAGE_SIZE);
  const found: Message[] = [];
  let bytes = 0;
  let last = '';
  for (const item of items) {
    const key = keyOf(item);
    if ((after !== undefined && key <= after) || !wanted(item)) continue;
    if (found.length === most) return { items: found, nextPageToken: last };
    const message = messageOf(item);
    bytes += sizeOf(message);
    if (bytes > MAX_ANSWER_BYTES && found.length > 0) {
      if (pageSize === 0) throw tooLarge('set page_size to receive it in pages');
      return { items: found, nextPageToken: last };
    }
    found.push(message);
    last = String(key);
  }
  return { items: found, nextPageToken: '' };
}

/** The refusal of an answer that a plain client could not receive. */
export function tooLarge(advice: string): RpcError {
  return new RpcError('RESOURCE_EXHAUSTED', `the answer is larger than ${MAX_ANSWER_BYTES} bytes: ${advice}`);
}

/** Fails if an answer is too large. */
export function expectFits<Message>(message: Message, advice: string): Message {
  if (sizeOf(message) > MAX_ANSWER_BYTES) throw tooLarge(advice);
  return message;
}

// Sequence numbers, or the names of trust domains.
function tokenOf(token: string, order: 'number' | 'name'): number | string | undefined {
  if (token === '') return undefined;
  const isToken = order === 'number' ? /^\d{1,15}$/ : /^[a-z0-9._-]{1,255}$/;
  if (!isToken.test(token)) throw new RpcError('INVALID_ARGUMENT', 'could not parse page_token');
  return order === 'number' ? Number(token) : token;
}
