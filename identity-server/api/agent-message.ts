// Agents on the wire, and the filters of their listings.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ListAgentsRequest_Filter } from '../../sdk/api/gen/spire/api/server/agent/v1/agent_pb.ts';
import type { AgentMask, AgentSchema } from '../../sdk/api/gen/spire/api/types/agent_pb.ts';
import { isBanned, type NodeFilter } from '../entry/filter.ts';
import type { AttestedNode } from '../store/store.ts';
import { idMessage, reading, selectorFilterOf } from './convert.ts';

/** A node as a message; a mask that is absent lets everything through, the ID is always there. */
export function agentMessage(
  node: AttestedNode,
  mask: AgentMask | undefined,
): MessageInitShape<typeof AgentSchema> {
  const has = (field: keyof Omit<AgentMask, '$typeName' | '$unknown'>) => mask === undefined || mask[field];
  return {
    id: idMessage(node.id),
    attestationType: has('attestationType') ? node.attestationType : '',
    x509svidSerialNumber: has('x509svidSerialNumber') ? node.serial : '',
    x509svidExpiresAt: has('x509svidExpiresAt') ? BigInt(node.notAfter) : 0n,
    selectors: has('selectors') ? node.selectors.map(({ type, value }) => ({ type, value })) : [],
    banned: has('banned') && isBanned(node),
    canReattest: has('canReattest') && node.canReattest,
    agentVersion: has('agentVersion') ? node.agentVersion : '',
  };
}

export function nodeFilterOf(filter: Omit<ListAgentsRequest_Filter, '$typeName'> | undefined): NodeFilter {
  if (filter === undefined) return {};
  return {
    attestationType: filter.byAttestationType === '' ? undefined : filter.byAttestationType,
    selectors: reading('malformed selectors filter', () => selectorFilterOf(filter.bySelectorMatch)),
    banned: filter.byBanned,
    canReattest: filter.byCanReattest,
    expiresBefore: reading('malformed expires before filter', () => secondsOfText(filter.byExpiresBefore)),
  };
}

// Go's layout `2006-01-02 15:04:05 -0700 -07`, which SPIRE's command line sends.
function secondsOfText(text: string): number | undefined {
  if (text === '') return undefined;
  const parts = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}) ([+-]\d{2})(\d{2}) \S+$/.exec(text);
  const time = parts === null ? NaN : Date.parse(`${parts[1]}T${parts[2]}${parts[3]}:${parts[4]}`);
  if (Number.isNaN(time)) throw new Error('use the form 2006-01-02 15:04:05 -0700 -07');
  return Math.floor(time / 1_000);
}
