// The agent's configuration file. Every key is described: the reference is generated from here.
import { join } from 'node:path';
import { z } from 'zod';
import { LAUNCH_NAME } from '../attestors/workload/launch/registry.ts';
import { DEFAULT_SHA256_MAX_BYTES } from '../attestors/workload/unix/attestor.ts';
import { durationSchema } from '../daemon/config.ts';
import { LOG_LEVELS } from '../daemon/log.ts';
import { messageOf } from '../sdk/error.ts';
import { parseTrustDomain } from '../sdk/spiffe-id.ts';

const trustDomain = z.string().transform((text, context) => {
  try {
    return parseTrustDomain(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
    return z.NEVER;
  }
});

const serverAddress = z
  .string()
  .regex(
    /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]/]+):\d{1,5}$/,
    'must be address:port, such as 127.0.0.1:8081 or [::1]:8081',
  )
  .refine(
    (text) => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535,
    'the port must be at most 65535',
  );

const launcher = z.strictObject({
  uid: z.int().min(0).describe('The user id, as the kernel verifies it.'),
  names: z
    .array(z.string().regex(LAUNCH_NAME, `must match ${LAUNCH_NAME.source}`))
    .min(1)
    .describe('The names that this user may give to processes that it starts.'),
});

/** The schema of the configuration file. */
export const workloadAgentConfigSchema = z
  .strictObject({
    trust_domain: trustDomain.describe('The trust domain, such as example.org.'),
    data_dir: z
      .string()
      .min(1)
      .describe(
        'The folder for the state of this agent. It holds a private key: only this user may read it.',
      ),
    server: serverAddress.describe('The identity server, as address:port.'),
    socket_path: z
      .string()
      .min(1)
      .optional()
      .describe('The Unix socket of the Workload API. Default: <data_dir>/public/api.sock.'),
    admin_socket_path: z
      .string()
      .min(1)
      .optional()
      .describe('The Unix socket for operators and launchers. Default: <data_dir>/private/admin.sock.'),
    trust_bundle_file: z
      .string()
      .min(1)
      .optional()
      .describe('The CA certificates of the trust domain in PEM, to verify the server by at first.'),
    insecure_bootstrap: z
      .literal(true)
      .optional()
      .describe(
        'Trust whoever answers at the first connection, in place of trust_bundle_file. For trials only.',
      ),
    join_token_file: z
      .string()
      .min(1)
      .optional()
      .describe('The file with the join token, or - for the first line of standard input. Needed to attest.'),
    x509pop: z
      .strictObject({
        certificate_file: z
          .string()
          .min(1)
          .describe("The node's certificate in PEM, and intermediates after it."),
        private_key_file: z.string().min(1).describe('Its key in PEM: RSA or EC.'),
        intermediates_file: z.string().min(1).optional().describe('Further intermediates in PEM.'),
      })
      .optional()
      .describe('Attest by a certificate and proof of its key, in place of join_token_file.'),
    sync_interval: durationSchema('5s')
      .refine((interval) => interval >= 100, 'must be at least 100ms')
      .describe('How often entries and bundles are fetched. Default 5s.'),
    workload_x509_svid_key_type: z
      .enum(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'])
      .default('ec-p256')
      .describe('The keys of workload SVIDs.'),
    unix: z
      .strictObject({
        sha256: z
          .boolean()
          .default(false)
          .describe('Give unix:sha256 selectors. Each executable is hashed when it is first seen.'),
        sha256_max_bytes: z
          .int()
          .min(0)
          .default(DEFAULT_SHA256_MAX_BYTES)
          .describe('The largest executable that is hashed.'),
      })
      .prefault({})
      .describe('The unix workload attestor.'),
    launchers: z
      .array(launcher)
      .default([])
      .describe(
        'Users who may name processes that they start (launch:name:NAME) over the admin socket. With one that is not the user of this agent, the admin socket is open to connections of every user; each request is still judged by the kernel-verified uid.',
      ),
    log_level: z.enum(LOG_LEVELS).default('info').describe('The least level that is logged.'),
  })
  .refine(
    (config) => (config.trust_bundle_file === undefined) !== (config.insecure_bootstrap === undefined),
    {
      message: 'exactly one of trust_bundle_file and insecure_bootstrap must be given',
      path: ['trust_bundle_file'],
    },
  )
  .refine((config) => config.join_token_file === undefined || config.x509pop === undefined, {
    message: 'only one of join_token_file and x509pop can be given',
    path: ['x509pop'],
  })
  .meta({ title: 'workload-agent.yaml', description: 'Configuration of the workload agent.' });

/** A checked configuration. */
export type WorkloadAgentConfig = z.infer<typeof workloadAgentConfigSchema>;

/** Where an agent keeps what it has. */
export interface AgentPaths {
  readonly state: string;
  readonly workloadSocket: string;
  readonly adminSocket: string;
}

export function agentPaths(config: WorkloadAgentConfig): AgentPaths {
  return {
    state: join(config.data_dir, 'agent-state.json'),
    workloadSocket: config.socket_path ?? join(config.data_dir, 'public', 'api.sock'),
    adminSocket: config.admin_socket_path ?? join(config.data_dir, 'private', 'admin.sock'),
  };
}
