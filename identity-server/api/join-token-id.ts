// Agents that joined by a token are named after its digest (decision 003). Scripts written for SPIRE name them after
// the token itself: such names are translated before anything is looked up or kept, so that no token is stored.
import {
  JOIN_TOKEN_PATH,
  joinTokenAgentPath,
  joinTokenDigest,
} from '../../attestors/node/join_token/server.ts';
import { isSpiffeId, pathOf, spiffeIdOf, trustDomainOf, type SpiffeId } from '../../sdk/spiffe-id.ts';
import type { Entry, Selector } from '../store/store.ts';
import type { ServiceOptions } from './services.ts';

const DIGEST = /^[0-9a-f]{32}$/;

/** An ID as it may be written down: where SPIRE's form has a token, ours has its digest. */
export function idWithoutToken(id: string): string {
  const start = id.indexOf(JOIN_TOKEN_PATH);
  if (start < 0) return id;
  const name = id.slice(start + JOIN_TOKEN_PATH.length);
  return DIGEST.test(name) ? id : id.slice(0, start) + joinTokenAgentPath(joinTokenDigest(name));
}

/** The ID under which an agent is known, given that or SPIRE's form of it. */
export async function knownAgentId(
  id: SpiffeId,
  { registry, store }: Pick<ServiceOptions, 'registry' | 'store'>,
): Promise<SpiffeId> {
  const path = pathOf(id);
  if (!path.startsWith(JOIN_TOKEN_PATH)) return id;
  const name = path.slice(JOIN_TOKEN_PATH.length);
  const digest = joinTokenDigest(name);
  const translated = spiffeIdOf(trustDomainOf(id), joinTokenAgentPath(digest));
  if (!DIGEST.test(name)) return translated;
  // It has the form of our own names; it is a token all the same if one of that text was given out.
  const isToken = registry.node(translated) !== undefined || (await store.hasJoinToken(digest));
  return isToken ? translated : id;
}

/** What was read of an entry, with the agents that its parent and its `spiffe_id` selectors name as they are known. */
export async function withKnownAgents<Input extends Partial<Pick<Entry, 'parentId' | 'selectors'>>>(
  input: Input,
  options: Pick<ServiceOptions, 'registry' | 'store'>,
): Promise<Input> {
  const { parentId, selectors } = input;
  const known = async ({ type, value }: Selector): Promise<Selector> => {
    const namesAgent = type === 'spiffe_id' && isSpiffeId(value);
    return { type, value: namesAgent ? await knownAgentId(value, options) : value };
  };
  return {
    ...input,
    ...(parentId && { parentId: await knownAgentId(parentId, options) }),
    ...(selectors && { selectors: await Promise.all(selectors.map(known)) }),
  };
}
