// What the messages of the WIT profile say, read and checked (Workload API 7, Incubating). Pure.
import type { WITBundlesResponse, WITSVIDResponse } from '../api/gen/spiffe/workload/workload_pb.ts';
import type { Experimental } from '../bundle/spiffe-bundle.ts';
import { parseWitBundle, type WitBundle } from '../bundle/wit-bundle.ts';
import { messageOf } from '../error.ts';
import type { SpiffeId, TrustDomain } from '../spiffe-id.ts';
import { parseHeldWitSvid, type HeldWitSvid } from '../wit-svid/held-wit-svid.ts';
import { badMessage, firstOfEachHint, nonEmpty, readBundleMap } from './messages.ts';

/** The WIT-SVIDs of a workload, the first of which is the default. */
export type WitSvids = readonly [HeldWitSvid, ...HeldWitSvid[]];

/**
 * Reads WIT-SVIDs with their keys. Each key must be that of its token (WAPI-63).
 *
 * @throws SpiffeError `ERR_WORKLOAD_API`: the message must be discarded (WAPI-10).
 */
export function readWitSvids(
  message: WITSVIDResponse,
  options: { readonly experimental: Experimental; readonly id?: SpiffeId },
): WitSvids {
  const svids = message.svids.map(({ witSvid, witSvidKey, spiffeId, hint }) => {
    const svid = readHeld(witSvid, witSvidKey, { experimental: options.experimental, hint });
    if (svid.id !== spiffeId) throw badMessage(`the WIT-SVID of ${svid.id} came under the name ${spiffeId}`);
    if (options.id !== undefined && svid.id !== options.id) {
      throw badMessage(`a WIT-SVID of ${svid.id} came where one of ${options.id} was asked for`);
    }
    return svid;
  });
  return nonEmpty(firstOfEachHint(svids), 'WIT-SVIDs');
}

/**
 * Reads WIT bundles, the whole state.
 *
 * @throws SpiffeError `ERR_WORKLOAD_API`: the message must be discarded (WAPI-10).
 */
export function readWitBundles(message: WITBundlesResponse): ReadonlyMap<TrustDomain, WitBundle> {
  return readBundleMap(message.bundles, parseWitBundle);
}

function readHeld(...args: Parameters<typeof parseHeldWitSvid>): HeldWitSvid {
  try {
    return parseHeldWitSvid(...args);
  } catch (cause) {
    throw badMessage(messageOf(cause), cause);
  }
}
