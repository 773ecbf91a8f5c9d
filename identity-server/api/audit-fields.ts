// What the audit log says of a request: IDs, names and digests. Never a token, a key or a CSR itself.
import { createHash } from 'node:crypto';
import { idWithoutToken } from './join-token-id.ts';

/** Fields of one line. */
export type AuditFields = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

interface Id {
  readonly trustDomain: string;
  readonly path: string;
}
interface Named {
  readonly type: string;
  readonly value: string;
}

// What requests may hold, whatever RPC they are of. Names of fields are SPIRE's.
interface Fields {
  readonly id?: string | Id;
  readonly agentId?: Id;
  readonly spiffeId?: Id;
  readonly parentId?: Id;
  readonly entryId?: string;
  readonly selectors?: readonly Named[];
  readonly x509SvidTtl?: number;
  readonly jwtSvidTtl?: number;
  readonly federatesWith?: readonly string[];
  readonly dnsNames?: readonly string[];
  readonly admin?: boolean;
  readonly downstream?: boolean;
  readonly storeSvid?: boolean;
  readonly hint?: string;
  readonly expiresAt?: bigint;
  readonly trustDomain?: string;
  readonly bundleEndpointUrl?: string;
  readonly audience?: readonly string[];
  readonly ttl?: number;
  readonly csr?: Uint8Array;
  readonly authorityId?: string;
  readonly subjectKeyId?: string;
  readonly agentVersion?: string;
  readonly signingAlgorithm?: string;
  readonly keyId?: string;
}

// The repeated field of a batch, by the end of the RPC's name.
const BATCHES: readonly (readonly [suffix: string, field: string])[] = [
  ['/BatchCreateEntry', 'entries'],
  ['/BatchUpdateEntry', 'entries'],
  ['/BatchDeleteEntry', 'ids'],
  ['/BatchNewX509SVID', 'params'],
  ['/BatchNewWITSVID', 'params'],
  ['/BatchCreateFederatedBundle', 'bundle'],
  ['/BatchUpdateFederatedBundle', 'bundle'],
  ['/BatchSetFederatedBundle', 'bundle'],
  ['/BatchDeleteFederatedBundle', 'trustDomains'],
  ['/BatchCreateFederationRelationship', 'federationRelationships'],
  ['/BatchUpdateFederationRelationship', 'federationRelationships'],
  ['/BatchDeleteFederationRelationship', 'trustDomains'],
];

/** One set of fields for each item of a batch, and one for anything else. */
export function auditFieldsOf(path: string, request: unknown): AuditFields[] {
  const batch = BATCHES.find(([suffix]) => path.endsWith(suffix));
  if (batch === undefined) return [fieldsOf(flattened(request))];
  const [suffix, field] = batch;
  const items = (request as Record<string, readonly (string | Fields)[]>)[field] ?? [];
  const name = suffix === '/BatchDeleteEntry' ? 'registration_id' : 'trust_domain_id';
  return items.map((item) => (typeof item === 'string' ? { [name]: item } : fieldsOf(item)));
}

// Requests that wrap what they are about: `params` of RenewAgent, keys that are published.
function flattened(request: unknown): Fields {
  if (typeof request !== 'object' || request === null) return {};
  const { params, jwtAuthority, witAuthority } = request as Record<string, object | undefined>;
  return { ...request, ...params, ...jwtAuthority, ...witAuthority };
}

function fieldsOf(fields: Fields): AuditFields {
  const { id } = fields;
  return defined({
    registration_id: typeof id === 'string' && id !== '' ? id : fields.entryId,
    spiffe_id: idText(typeof id === 'string' ? fields.spiffeId : (id ?? fields.spiffeId)),
    parent_id: idText(fields.parentId),
    agent_id: idText(fields.agentId),
    selectors: fields.selectors?.map(({ type, value }) => idWithoutToken(`${type}:${value}`)),
    x509_svid_ttl: fields.x509SvidTtl,
    jwt_svid_ttl: fields.jwtSvidTtl,
    federates_with: fields.federatesWith,
    dns_names: fields.dnsNames,
    admin: fields.admin,
    downstream: fields.downstream,
    store_svid: fields.storeSvid,
    hint: fields.hint,
    expires_at: fields.expiresAt === undefined ? undefined : fields.expiresAt.toString(),
    trust_domain_id: fields.trustDomain,
    bundle_endpoint_url: fields.bundleEndpointUrl,
    audience: fields.audience,
    ttl: fields.ttl,
    csr: fields.csr === undefined ? undefined : createHash('sha256').update(fields.csr).digest('hex'),
    authority_id: fields.authorityId,
    subject_key_id: fields.subjectKeyId,
    agent_version: fields.agentVersion,
    signing_algorithm: fields.signingAlgorithm,
    kid: fields.keyId,
  });
}

function defined(fields: AuditFields): AuditFields {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== ''),
  );
}

function idText(id: Id | undefined): string | undefined {
  return id === undefined ? undefined : idWithoutToken(`spiffe://${id.trustDomain}${id.path}`);
}
