// The tables as kysely sees them, and how rows become plain data. The same on every database.
import { Buffer } from 'node:buffer';
import type { SpiffeId, TrustDomain } from '../../../sdk/spiffe-id.ts';
import type {
  AttestedNode,
  AuthorityKind,
  AuthorityRecord,
  Bundle,
  BundleKey,
  Change,
  Entry,
  NewEntry,
  NewNode,
  Relationship,
  Selector,
} from '../store.ts';

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
  kind: AuthorityKind;
  server: string;
  slot: 'A' | 'B';
  status: 'prepared' | 'active' | 'old';
  issued_at: number;
  not_after: number;
  material: Uint8Array;
}

export interface BundleRow {
  trust_domain: string;
  /** A bundle as JSON, bytes in base64. */
  data: string;
}

export interface RelationshipRow {
  trust_domain: string;
  bundle_endpoint_url: string;
  /** Empty: the endpoint has a web certificate. */
  endpoint_spiffe_id: string;
}

/** The database. `state` has exactly one row; its `epoch` is that of the newest row of `changes`. */
export interface Tables {
  state: {
    id: 1;
    trust_domain: string;
    epoch: string;
    revision: number;
    compacted: number;
  };
  changes: { revision: number; kind: Change['kind']; subject: string; epoch: string };
  entries: EntryRow;
  nodes: NodeRow;
  join_tokens: { digest: string; expires_at: number };
  authorities: AuthorityRow;
  bundles: BundleRow;
  relationships: RelationshipRow;
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
    hint: storable(entry.hint),
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
    hint: original(row.hint),
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
    agent_version: storable(node.agentVersion),
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
    agentVersion: original(row.agent_version),
    sequence: row.sequence,
  };
}

export function authorityOfRow(row: AuthorityRow): AuthorityRecord {
  return {
    id: row.id,
    kind: row.kind,
    server: row.server,
    slot: row.slot,
    status: row.status,
    issuedAt: row.issued_at,
    notAfter: row.not_after,
    material: new Uint8Array(row.material),
  };
}

export function rowOfAuthority(record: AuthorityRecord): AuthorityRow {
  const { id, kind, server, slot, status, issuedAt, notAfter, material } = record;
  return { id, kind, server, slot, status, issued_at: issuedAt, not_after: notAfter, material };
}

type KeyJson = [id: string, publicKey: string, expiresAt: number, tainted: 0 | 1];

interface BundleJson {
  readonly x509: readonly (readonly [certificate: string, tainted: 0 | 1])[];
  readonly jwt: readonly KeyJson[];
  readonly wit: readonly KeyJson[];
  readonly refreshHint: number;
  readonly sequence: string;
}

export function rowOfBundle(bundle: Bundle): BundleRow {
  const keys = (list: readonly BundleKey[]): KeyJson[] =>
    list.map(({ id, publicKey, expiresAt, tainted }) => [id, base64(publicKey), expiresAt, tainted ? 1 : 0]);
  const json: BundleJson = {
    x509: bundle.x509Authorities.map(({ certificate, tainted }) => [base64(certificate), tainted ? 1 : 0]),
    jwt: keys(bundle.jwtAuthorities),
    wit: keys(bundle.witAuthorities),
    refreshHint: bundle.refreshHint,
    sequence: bundle.sequence.toString(),
  };
  return { trust_domain: bundle.trustDomain, data: JSON.stringify(json) };
}

export function bundleOfRow(row: BundleRow): Bundle {
  const json = JSON.parse(row.data) as BundleJson;
  const keys = (list: readonly KeyJson[]): BundleKey[] =>
    list.map(([id, publicKey, expiresAt, tainted]) => ({
      id,
      publicKey: bytes(publicKey),
      expiresAt,
      tainted: tainted === 1,
    }));
  return {
    trustDomain: row.trust_domain as TrustDomain,
    x509Authorities: json.x509.map(([certificate, tainted]) => ({
      certificate: bytes(certificate),
      tainted: tainted === 1,
    })),
    jwtAuthorities: keys(json.jwt),
    witAuthorities: keys(json.wit),
    refreshHint: json.refreshHint,
    sequence: BigInt(json.sequence),
  };
}

export function relationshipOfRow(row: RelationshipRow): Relationship {
  return {
    trustDomain: row.trust_domain as TrustDomain,
    bundleEndpointUrl: row.bundle_endpoint_url,
    endpointSpiffeId: row.endpoint_spiffe_id === '' ? undefined : (row.endpoint_spiffe_id as SpiffeId),
  };
}

function base64(data: Uint8Array): string {
  return Buffer.from(data).toString('base64');
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

function selectorsOf(json: string): Selector[] {
  return (JSON.parse(json) as [string, string][]).map(([type, value]) => ({ type, value }));
}

// PostgreSQL keeps no NUL in text, and callers may send one: it stands as U+FFFF 0, and U+FFFF, which is no character,
// stands twice.
function storable(text: string): string {
  return text.replaceAll('\uffff', '\uffff\uffff').replaceAll('\0', '\uffff0');
}

function original(text: string): string {
  return text.replaceAll(/\uffff(0|\uffff)/g, (_, next: string) => (next === '0' ? '\0' : '\uffff'));
}
