// The configuration file of the identity server. Every key is described here once; the reference is made from it.
import { join } from 'node:path';
import { z } from 'zod';
import { durationSchema } from '../daemon/config.ts';
import { LOG_LEVELS } from '../daemon/log.ts';
import { administratorsSchema } from './administration/config.ts';
import { databaseSchema } from './store/database-config.ts';
import { parseSpiffeId, parseTrustDomain, type SpiffeId, type TrustDomain } from '../sdk/spiffe-id.ts';

/** Where a program listens. */
export interface TcpAddress {
  readonly address: string;
  readonly port: number;
}

const SHORTEST_CA = 30_000;
const SHORTEST_SVID = 1_000;

const trustDomainSchema = z.string().transform((text, context): TrustDomain => {
  try {
    return parseTrustDomain(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
    return z.NEVER;
  }
});

const spiffeIdSchema = z.string().transform((text, context): SpiffeId => {
  try {
    return parseSpiffeId(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
    return z.NEVER;
  }
});

const KEY_TYPES = ['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'] as const;

const perSecond = (fallback: number, what: string) =>
  z
    .int()
    .min(0)
    .max(1_000_000)
    .default(fallback)
    .describe(`${what} a second, for each source address; 0: no limit.`);

const rateLimitsSchema = z.strictObject({
  attestation: perSecond(1, 'Attestations'),
  signing: perSecond(500, 'X509-SVIDs, and JWT- and WIT-SVIDs likewise,'),
  key_publishing: perSecond(500, 'Keys that servers below this one publish'),
  status: perSecond(10, 'Reports of agents about themselves'),
});

const x509popSchema = z.strictObject({
  mode: z
    .enum(['external_pki', 'spiffe'])
    .default('external_pki')
    .describe('Whose certificates count: those of `ca_bundle_paths`, or SVIDs of this trust domain.'),
  ca_bundle_paths: z
    .array(z.string().min(1))
    .default([])
    .describe('`external_pki`: PEM files with the CAs of nodes. Read at the start.'),
  spiffe_prefix: z
    .string()
    .min(1)
    .default('/spire-exchange/')
    .describe(
      '`spiffe`: the beginning of the paths of SVIDs that can be exchanged for the SVID of an agent.',
    ),
  agent_path_template: z
    .string()
    .min(1)
    .optional()
    .describe(
      'The path of an agent below `/spire/agent`. Fields: .PluginName, .TrustDomain, .Fingerprint, .SerialNumberHex, ' +
        '.Subject.CommonName, .SVIDPathTrimmed. Default: `{{ .PluginName }}/{{ .Fingerprint }}`, and in `spiffe` ' +
        '`{{ .PluginName }}/{{ .SVIDPathTrimmed }}`.',
    ),
  max_intermediates: z
    .int()
    .min(0)
    .max(9)
    .default(4)
    .describe('The most intermediate certificates of a node.'),
  max_rsa_key_size: z
    .int()
    .min(2_048)
    .max(8_192)
    .default(8_192)
    .describe('The largest RSA key of a node, in bits.'),
  verify_client_ip: z
    .boolean()
    .default(false)
    .describe('Whether the certificate must be for the IP address that the node calls from.'),
});

const nodeAttestorsSchema = z.strictObject({
  x509pop: x509popSchema
    .optional()
    .describe('Nodes attest by a certificate and proof of its key. Absent: they cannot.'),
});

const experimentalSchema = z.strictObject({
  wit_svids: z
    .boolean()
    .default(false)
    .describe('Issue WIT-SVIDs, whose standard is not finished and may change.'),
  wit_key_type: z
    .enum(KEY_TYPES)
    .optional()
    .describe('Kind of the keys that sign WIT-SVIDs. Default: that of `ca_key_type`.'),
  wit_issuer: z
    .string()
    .regex(/^(?!https?:)/i, 'must not look like an OpenID Connect issuer (http or https)')
    .optional()
    .describe('The claim `iss` of WIT-SVIDs. Default: none.'),
});

const listenSchema = z
  .string()
  .regex(
    /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):\d{1,5}$/,
    'must be address:port, such as 0.0.0.0:8081 or [::]:8081',
  )
  .transform((text, context): TcpAddress => {
    const colon = text.lastIndexOf(':');
    const port = Number(text.slice(colon + 1));
    if (port > 65_535) {
      context.addIssue({ code: 'custom', message: `the port ${port} is larger than 65535` });
      return z.NEVER;
    }
    return { address: text.slice(0, colon).replace(/^\[|\]$/g, ''), port };
  });

const atLeast = (schema: ReturnType<typeof durationSchema>, least: number) =>
  schema.refine((duration) => duration >= least, `must be at least ${least / 1_000}s`);

/** The schema of `identity-server.yaml`. Durations come out in milliseconds. */
export const identityServerConfigSchema = z
  .strictObject({
    trust_domain: trustDomainSchema.describe(
      'The trust domain that this server is the authority of, such as `example.org`. It cannot change later.',
    ),
    data_dir: z
      .string()
      .min(1)
      .describe(
        'Folder of the database and the keys. It is made if it is missing; only its owner may enter it.',
      ),
    database: databaseSchema.prefault({}).describe('Where entries, agents and authorities are kept.'),
    max_staleness: atLeast(durationSchema('1h'), 1_000).describe(
      'How long agents are served from memory while the database cannot be reached; then no more, since a revocation may ' +
        'have been missed.',
    ),
    authority_publish_delay: durationSchema('30s').describe(
      'How long a server that joins others waits before it signs, so that every agent has its certificate first. ' +
        'Agents ask every 5 seconds, unless they are set to something else.',
    ),
    listen: listenSchema
      .prefault('0.0.0.0:8081')
      .describe(
        'Address and port of the gRPC API for agents and administrators (TLS). Port 0 takes a free one.',
      ),
    socket_path: z
      .string()
      .min(1)
      .optional()
      .describe(
        'Unix socket of the local API; who can open it administers the server. Default: `api.sock` in `data_dir`.',
      ),
    ca_ttl: atLeast(durationSchema('24h'), SHORTEST_CA).describe(
      'Lifetime of a signing certificate. The next is prepared at half of it and takes over at five sixths.',
    ),
    ca_key_type: z
      .enum(KEY_TYPES)
      .default('ec-p256')
      .describe("Kind of the signing keys, and of the server's own key."),
    default_x509_svid_ttl: atLeast(durationSchema('1h'), SHORTEST_SVID).describe(
      'Lifetime of an X509-SVID whose entry names none. Never longer than the signing certificate lives.',
    ),
    agent_ttl: atLeast(durationSchema('1h'), SHORTEST_SVID).describe(
      "Lifetime of an agent's own SVID: as long as an agent may be out of touch and still come back by itself.",
    ),
    jwt_key_type: z
      .enum(KEY_TYPES)
      .optional()
      .describe('Kind of the keys that sign JWT-SVIDs. Default: that of `ca_key_type`.'),
    default_jwt_svid_ttl: atLeast(durationSchema('5m'), SHORTEST_SVID).describe(
      'Lifetime of a JWT-SVID whose entry names none. Never longer than the key that signs it.',
    ),
    jwt_issuer: z
      .string()
      .min(1)
      .optional()
      .describe(
        'The claim `iss` of JWT-SVIDs, such as the URL of an OIDC discovery provider. Default: none.',
      ),
    disable_jwt_svids: z
      .boolean()
      .default(false)
      .describe('Issue no JWT-SVIDs, and put no JWT keys into the bundle.'),
    node_attestors: nodeAttestorsSchema
      .prefault({})
      .describe('How nodes prove what they are, besides join tokens, which are always there.'),
    admin_ids: z
      .array(spiffeIdSchema)
      .default([])
      .describe(
        'SPIFFE IDs that administer the server besides entries marked `admin`; also of trust domains whose bundle is known.',
      ),
    administrators: administratorsSchema.describe(
      'Administrators with limits: RPCs, and IDs by patterns of whole segments.',
    ),
    audit_log: z
      .boolean()
      .default(false)
      .describe(
        'Write a line for every call, and for every item of a batch: who did what, and how it ended.',
      ),
    rate_limits: rateLimitsSchema
      .prefault({})
      .describe(
        'How much one source address may ask for; calls beyond that wait. The local socket has no limits.',
      ),
    experimental: experimentalSchema.prefault({}).describe('What may still change.'),
    log_level: z.enum(LOG_LEVELS).default('info').describe('The least level that is logged.'),
  })
  .transform((config) => ({
    ...config,
    socket_path: config.socket_path ?? join(config.data_dir, 'api.sock'),
  }))
  .meta({ title: 'identity-server.yaml', description: 'Configuration of the identity server.' });

/** The configuration as the server uses it. */
export type IdentityServerConfig = z.infer<typeof identityServerConfigSchema>;
