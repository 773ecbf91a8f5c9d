// The configuration file of the identity server. Every key is described here once; the reference is made from it.
import { join } from 'node:path';
import { z } from 'zod';
import { durationSchema } from '../daemon/config.ts';
import { LOG_LEVELS } from '../daemon/log.ts';
import { parseTrustDomain, type TrustDomain } from '../sdk/spiffe-id.ts';

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
      .enum(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'])
      .default('ec-p256')
      .describe("Kind of the signing keys, and of the server's own key."),
    default_x509_svid_ttl: atLeast(durationSchema('1h'), SHORTEST_SVID).describe(
      'Lifetime of an X509-SVID whose entry names none. Never longer than the signing certificate lives.',
    ),
    agent_ttl: atLeast(durationSchema('1h'), SHORTEST_SVID).describe(
      "Lifetime of an agent's own SVID: as long as an agent may be out of touch and still come back by itself.",
    ),
    log_level: z.enum(LOG_LEVELS).default('info').describe('The least level that is logged.'),
  })
  .transform((config) => ({
    ...config,
    socket_path: config.socket_path ?? join(config.data_dir, 'api.sock'),
  }))
  .meta({ title: 'identity-server.yaml', description: 'Configuration of the identity server.' });

/** The configuration as the server uses it. */
export type IdentityServerConfig = z.infer<typeof identityServerConfigSchema>;
