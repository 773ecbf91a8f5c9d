// The tables as kysely sees them, and how rows become plain data.
import type { SpiffeId } from '../../../sdk/spiffe-id.ts';
import type { AttestedNode, AuthorityRecord, Entry, NewEntry, NewNode, Selector } from '../store.ts';

export interface EntryRow {
  id: string;
  sequence: number;
  similarity: string;
  spiffe_id: string;
  parent_id: string;
  selectors: string;
  x509_svid_ttl: number;
  jwt_svid_ttl: number;
  federates_with: string;
  admin: number;
  downstream: number;
  expires_at: number;
  dns_names: string;
  store_svid: number;
  hint: string;
  disable_x509_svid_prefetch: number;
  jwt_svid_include_jti: number;
  created_at: number;
  revision_number: number;
}

export interface NodeRow {
  id: string;
  sequence: number;
  attestation_type: string;
  serial: string;
  not_after: number;
  new_serial: string;
  new_not_after: number;
  selectors: string;
  can_reattest: number;
  agent_version: string;
}

export interface AuthorityRow {
  id: string;
  slot: 'A' | 'B';
  status: 'prepared' | 'active' | 'old';
  issued_at: number;
  not_after: number;
  certificate: Uint8Array;
}

/** The database. `state` has exactly one row. */
export interface Tables {
  state: {
    id: 1;
    trust_domain: string;
    epoch: string;
    revision: number;
    compacted: number;
    bundle_sequence: number;
  };
  changes: { revision: number; kind: 'entry' | 'node' | 'authority'; subject: string };
  entries: EntryRow;
  nodes: NodeRow;
  join_tokens: { digest: string; expires_at: number };
  authorities: AuthorityRow;
}

export function rowOfEntry(
  entry: NewEntry & { revisionNumber: number; sequence: number },
  similarity: string,
): EntryRow {
  return {
    id: entry.id,
    sequence: entry.sequence,
    similarity,
    spiffe_id: entry.spiffeId,
    parent_id: entry.parentId,
    selectors: JSON.stringify(entry.selectors.map(({ type, value }) => [type, value])),
    x509_svid_ttl: entry.x509SvidTtl,
    jwt_svid_ttl: entry.jwtSvidTtl,
    federates_with: JSON.stringify(entry.federatesWith),
    admin: Number(entry.admin),
    downstream: Number(entry.downstream),
    expires_at: entry.expiresAt,
    dns_names: JSON.stringify(entry.dnsNames),
    store_svid: Number(entry.storeSvid),
    hint: entry.hint,
    disable_x509_svid_prefetch: Number(entry.disableX509SvidPrefetch),
    jwt_svid_include_jti: Number(entry.jwtSvidIncludeJti),
    created_at: entry.createdAt,
    revision_number: entry.revisionNumber,
  };
}

export function entryOfRow(row: EntryRow): Entry {
  return {
    id: row.id,
    spiffeId: row.spiffe_id as SpiffeId,
    parentId: row.parent_id as SpiffeId,
    selectors: selectorsOf(row.selectors),
    x509SvidTtl: row.x509_svid_ttl,
    jwtSvidTtl: row.jwt_svid_ttl,
    federatesWith: JSON.parse(row.federates_with) as string[],
    admin: row.admin === 1,
    downstream: row.downstream === 1,
    expiresAt: row.expires_at,
    dnsNames: JSON.parse(row.dns_names) as string[],
    storeSvid: row.store_svid === 1,
    hint: row.hint,
    disableX509SvidPrefetch: row.disable_x509_svid_prefetch === 1,
    jwtSvidIncludeJti: row.jwt_svid_include_jti === 1,
    createdAt: row.created_at,
    revisionNumber: row.revision_number,
    sequence: row.sequence,
  };
}

export function rowOfNode(node: NewNode & { sequence: number }): NodeRow {
  return {
    id: node.id,
    sequence: node.sequence,
    attestation_type: node.attestationType,
    serial: node.serial,
    not_after: node.notAfter,
    new_serial: node.newSerial,
    new_not_after: node.newNotAfter,
    selectors: JSON.stringify(node.selectors.map(({ type, value }) => [type, value])),
    can_reattest: Number(node.canReattest),
    agent_version: node.agentVersion,
  };
}

export function nodeOfRow(row: NodeRow): AttestedNode {
  return {
    id: row.id as SpiffeId,
    attestationType: row.attestation_type,
    serial: row.serial,
    notAfter: row.not_after,
    newSerial: row.new_serial,
    newNotAfter: row.new_not_after,
    selectors: selectorsOf(row.selectors),
    canReattest: row.can_reattest === 1,
    agentVersion: row.agent_version,
    sequence: row.sequence,
  };
}

export function authorityOfRow(row: AuthorityRow): AuthorityRecord {
  return {
    id: row.id,
    slot: row.slot,
    status: row.status,
    issuedAt: row.issued_at,
    notAfter: row.not_after,
    certificate: new Uint8Array(row.certificate),
  };
}

function selectorsOf(json: string): Selector[] {
  return (JSON.parse(json) as [string, string][]).map(([type, value]) => ({ type, value }));
}
