// The configuration file of the proxy.
import { z } from 'zod';
import { LOG_LEVELS } from '../daemon/log.ts';
import { isSpiffeId } from '../sdk/spiffe-id.ts';
import { isLocal, parseAddress, type Address } from './transport/address.ts';

const ADDRESS_FORMS = 'must be HOST:PORT, such as 127.0.0.1:8443, or unix:/absolute/path.sock';

const address = z.string().transform((text, context): Address => {
  const parsed = parseAddress(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: ADDRESS_FORMS });
  return z.NEVER;
});

const LOCAL_ONLY =
  'must be a Unix socket or a loopback address, such as unix:/run/app.sock or 127.0.0.1:7000';

const localAddress = address.refine(isLocal, LOCAL_ONLY);

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z 0-9 -, and not begin with -');

const spiffeId = z.string().refine(isSpiffeId, 'must be a SPIFFE ID, such as spiffe://example.org/orders');

const endpoint = z.string().regex(/^(unix:\/|tcp:\/\/)/, 'must begin with unix:/ or tcp://');

const maxConnections = z
  .int()
  .min(1)
  .max(65_536)
  .default(1_024)
  .describe('Connections at once; more are closed as they come.');

const inbound = z.strictObject({
  name: name.describe('The name of the listener in logs.'),
  listen: address.describe('Where peers of the mesh connect, with mutual TLS.'),
  policy: z
    .string()
    .min(1)
    .describe('The policy file, relative to this file. Without a policy nothing is served.'),
  application: localAddress.describe('The application that requests are forwarded to, on this machine.'),
  max_connections: maxConnections,
});

const outbound = z.strictObject({
  name: name.describe('The name of the listener in logs.'),
  listen: localAddress.describe('Where the application connects, without TLS: for this machine only.'),
  upstream: z.strictObject({
    address: address.describe('The proxy of the other service.'),
    accept: z
      .array(spiffeId)
      .min(1, 'must name at least one SPIFFE ID: there is no default')
      .max(100)
      .describe(
        'The SPIFFE IDs that the upstream may have. Any other peer is refused before the request is sent.',
      ),
  }),
  max_connections: maxConnections,
});

/** The file that `--config` names. */
export const edgeProxyConfigSchema = z
  .strictObject({
    workload_api: endpoint
      .optional()
      .describe(
        'The SPIFFE Workload API, such as unix:///run/sigil/agent.sock. Default: SPIFFE_ENDPOINT_SOCKET.',
      ),
    admin: localAddress
      .optional()
      .describe('Where /ready, /identity and /stats are served. Default: nowhere.'),
    log_level: z.enum(LOG_LEVELS).default('info').describe('The least important lines that are logged.'),
    inbound: z.array(inbound).max(100).default([]).describe('Listeners for peers of the mesh.'),
    outbound: z.array(outbound).max(1_000).default([]).describe('Listeners for the local application.'),
  })
  .superRefine((config, context) => {
    if (config.inbound.length + config.outbound.length === 0) {
      context.addIssue({ code: 'custom', message: 'needs at least one listener under inbound or outbound' });
    }
    const seen = new Set<string>();
    for (const kind of ['inbound', 'outbound'] as const) {
      for (const [index, listener] of config[kind].entries()) {
        if (seen.has(listener.name)) {
          const message = `the listener name "${listener.name}" is used twice`;
          context.addIssue({ code: 'custom', path: [kind, index, 'name'], message });
        }
        seen.add(listener.name);
      }
    }
  });

/** A checked configuration. */
export type EdgeProxyConfig = z.infer<typeof edgeProxyConfigSchema>;
