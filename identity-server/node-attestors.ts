// The node attestors that the configuration asks for.
import { readFile } from 'node:fs/promises';
import type { NodeAttestorServer } from '../attestors/node/node-attestor-server.ts';
import { nodeAttestorServers } from '../attestors/node/server-catalog.ts';
import type { X509popOptions } from '../attestors/node/x509pop/server.ts';
import type { X509BundleSource } from '../sdk/bundle/x509-bundle.ts';
import { messageOf } from '../sdk/error.ts';
import { parsePemCertificates } from '../sdk/x509-svid/pem.ts';
import type { IdentityServerConfig } from './config.ts';
import type { Store } from './store/store.ts';

/** What attestors need of the server. */
export interface NodeAttestorParts {
  readonly store: Pick<Store, 'takeJoinToken'>;
  readonly bundles: X509BundleSource;
  readonly now: () => number;
}

/**
 * Makes the attestors.
 *
 * @throws Error that names the configuration key and the file that is at fault.
 */
export async function createNodeAttestors(
  config: IdentityServerConfig,
  { store, bundles, now }: NodeAttestorParts,
): Promise<ReadonlyMap<string, NodeAttestorServer>> {
  const x509pop = await x509popOptions(config, { bundles, now });
  try {
    return nodeAttestorServers({
      joinTokens: { take: (digest) => store.takeJoinToken(digest), now },
      x509pop,
    });
  } catch (error) {
    throw new Error(`node_attestors.x509pop.agent_path_template: ${messageOf(error)}`, { cause: error });
  }
}

async function x509popOptions(
  { node_attestors: { x509pop }, trust_domain: trustDomain }: IdentityServerConfig,
  { bundles, now }: Pick<NodeAttestorParts, 'bundles' | 'now'>,
): Promise<X509popOptions | undefined> {
  if (x509pop === undefined) return undefined;
  return {
    trustDomain,
    authorities:
      x509pop.mode === 'spiffe'
        ? { mode: 'spiffe', bundles, prefix: x509pop.spiffe_prefix }
        : { mode: 'external_pki', certificates: await authoritiesOf(x509pop.ca_bundle_paths) },
    agentPathTemplate: x509pop.agent_path_template,
    maxIntermediates: x509pop.max_intermediates,
    maxRsaKeySize: x509pop.max_rsa_key_size,
    verifyClientIp: x509pop.verify_client_ip,
    now,
  };
}

async function authoritiesOf(files: readonly string[]) {
  const option = 'node_attestors.x509pop.ca_bundle_paths';
  if (files.length === 0) throw new Error(`${option}: name a file, or no node can attest by certificate`);
  const read = files.map(async (file) => {
    try {
      return parsePemCertificates(await readFile(file, 'utf8'));
    } catch (error) {
      throw new Error(`${option}: ${file}: ${messageOf(error)}`, { cause: error });
    }
  });
  return (await Promise.all(read)).flat();
}
