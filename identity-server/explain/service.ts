// The Explain service: the question from the wire, and the answer onto it.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Handlers } from '../../daemon/grpc/server.ts';
import {
  AgentState_Standing as Wire,
  Obstacle_Kind as Kind,
  type Explain,
  type ExplainedEntrySchema,
  type ObstacleSchema,
} from '../../sdk/api/gen/sigil/explain/v1/explain_pb.ts';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { Selector } from '../store/store.ts';
import { scopeOf } from '../administration/scope-of-call.ts';
import type { Caller } from '../api/caller.ts';
import { idMessage, memberIdOf, reading } from '../api/convert.ts';
import { knownAgentId } from '../api/join-token-id.ts';
import { expectFits } from '../api/paging.ts';
import type { ServiceOptions } from '../api/services.ts';
import { validateSelector } from '../entry/validate.ts';
import { explain, type Judged, type Standing } from './explain.ts';
import type { Obstacle } from './judge.ts';

const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 200;
const MAX_SELECTORS = 1_000;

type Options = Pick<ServiceOptions, 'registry' | 'store' | 'trustDomain' | 'now'>;

export function explainService(options: Options): Handlers<typeof Explain, Caller> {
  const { registry, trustDomain, now } = options;
  return {
    async explainEntries(request, context) {
      const { limit, selectors } = request;
      if (limit < 0 || limit > MAX_LIMIT) {
        throw new RpcError('INVALID_ARGUMENT', `limit must be between 0 and ${MAX_LIMIT}`);
      }
      if (selectors.length > MAX_SELECTORS) {
        throw new RpcError('INVALID_ARGUMENT', `at most ${MAX_SELECTORS} selectors are accepted`);
      }
      reading('invalid selector', () => selectors.forEach(validateSelector));
      const asked = reading('invalid agent ID', () => memberIdOf(request.agentId, trustDomain));
      const agentId = await knownAgentId(asked, options);
      const scope = scopeOf(context);
      const { standing, node, aliases, matched, nearly, matchedCount, nearlyCount } = await explain(
        {
          agentId,
          selectors,
          spiffeId:
            request.spiffeId && reading('invalid SPIFFE ID', () => memberIdOf(request.spiffeId, trustDomain)),
          limit: limit === 0 ? DEFAULT_LIMIT : limit,
          isVisible: scope && ((entry) => scope.covers(entry)),
        },
        registry,
        now(),
      );
      // What a node proved of itself is for those who may see the node.
      const tellsEntry = (id: string) => {
        const entry = registry.entries.get(id);
        return scope === undefined || (entry !== undefined && scope.covers(entry));
      };
      const seesAgent = scope === undefined || scope.coversParent(agentId);
      return expectFits(
        {
          agent: {
            id: idMessage(agentId),
            standing: STANDINGS[standing],
            selectors: seesAgent ? selectorMessages(node?.selectors ?? []) : [],
            aliases: seesAgent ? aliases.map(idMessage) : [],
          },
          matched: matched.map((judged) => entryMessage(judged, tellsEntry)),
          nearly: nearly.map((judged) => entryMessage(judged, tellsEntry)),
          matchedCount,
          nearlyCount,
        },
        'set a lower limit, or ask for one spiffe_id',
      );
    },
  };
}

const STANDINGS: Readonly<Record<Standing, Wire>> = {
  attested: Wire.ATTESTED,
  'not-attested': Wire.NOT_ATTESTED,
  banned: Wire.BANNED,
  expired: Wire.EXPIRED,
};

function entryMessage(
  { entry, obstacles }: Judged,
  tellsEntry: (id: string) => boolean,
): MessageInitShape<typeof ExplainedEntrySchema> {
  return {
    id: entry.id,
    spiffeId: idMessage(entry.spiffeId),
    parentId: idMessage(entry.parentId),
    selectors: selectorMessages(entry.selectors),
    obstacles: obstacles.map((obstacle) => obstacleMessage(obstacle, tellsEntry)),
    storeSvid: entry.storeSvid,
  };
}

const KINDS: Readonly<Record<Obstacle['kind'], Kind>> = {
  'agent-not-served': Kind.AGENT_NOT_SERVED,
  'missing-selectors': Kind.MISSING_SELECTORS,
  expired: Kind.EXPIRED,
  'is-alias': Kind.IS_ALIAS,
  'parent-is-other-agent': Kind.PARENT_IS_OTHER_AGENT,
  'alias-missing-selectors': Kind.ALIAS_MISSING_SELECTORS,
  'parent-expired': Kind.PARENT_EXPIRED,
  'parent-not-authorized': Kind.PARENT_NOT_AUTHORIZED,
  'parent-unknown': Kind.PARENT_UNKNOWN,
};

// Of another entry that the caller may not see, only the ID is told that stands in his own.
function obstacleMessage(
  obstacle: Obstacle,
  tellsEntry: (id: string) => boolean,
): MessageInitShape<typeof ObstacleSchema> {
  const kind = KINDS[obstacle.kind];
  if ('entryId' in obstacle && !tellsEntry(obstacle.entryId)) return { kind, id: idMessage(obstacle.id) };
  return {
    kind,
    missing: 'missing' in obstacle ? selectorMessages(obstacle.missing) : [],
    present: 'present' in obstacle ? selectorMessages(obstacle.present) : [],
    id: 'id' in obstacle ? idMessage(obstacle.id) : undefined,
    entryId: 'entryId' in obstacle ? obstacle.entryId : '',
    expiredAt: 'at' in obstacle ? BigInt(obstacle.at) : 0n,
  };
}

function selectorMessages(selectors: readonly Selector[]): Selector[] {
  return selectors.map(({ type, value }) => ({ type, value }));
}
