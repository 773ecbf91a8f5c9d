// Pages of a listing. The token is the sequence number of the last item of the page before (opaque to callers).
import { RpcError } from '../../daemon/grpc/rpc-error.ts';

/** One page, and the token of the next one if there is more. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly nextPageToken: string;
}

/** The most items of one page, whatever was asked for. */
export const MAX_PAGE_SIZE = 5_000;

/** A page of items that are in the order of their sequence numbers. A size of 0 means no paging. */
export function pageOf<T extends { readonly sequence: number }>(
  items: Iterable<T>,
  request: { readonly pageSize: number; readonly pageToken: string },
  wanted: (item: T) => boolean,
): Page<T> {
  const { pageSize, pageToken } = request;
  if (pageSize < 0) throw new RpcError('INVALID_ARGUMENT', 'page_size must not be negative');
  if (!/^\d{0,15}$/.test(pageToken)) throw new RpcError('INVALID_ARGUMENT', 'could not parse page_token');
  const after = Number(pageToken);
  const most = pageSize === 0 ? Infinity : Math.min(pageSize, MAX_PAGE_SIZE);
  const found: T[] = [];
  for (const item of items) {
    if (item.sequence <= after || !wanted(item)) continue;
    if (found.length === most) return { items: found, nextPageToken: String(found.at(-1)!.sequence) };
    found.push(item);
  }
  return { items: found, nextPageToken: '' };
}
