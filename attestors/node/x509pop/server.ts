// x509pop: a node proves that it holds the key of a certificate, from a CA that the operator named (external_pki) or
// from this trust domain itself (spiffe: an SVID is exchanged for an agent's).
import type { Buffer } from 'node:buffer';
import { randomBytes, X509Certificate } from 'node:crypto';
import { RpcError } from '../../../daemon/grpc/rpc-error.ts';
import type { X509BundleSource } from '../../../sdk/bundle/x509-bundle.ts';
import { messageOf } from '../../../sdk/error.ts';
import { pathOf, type TrustDomain } from '../../../sdk/spiffe-id.ts';
import { parseCertificate, publicKeyOf, type Certificate } from '../../../sdk/x509-svid/certificate.ts';
import { hasKeyUsage } from '../../../sdk/x509-svid/extensions.ts';
import { findPath, verifyX509Svid } from '../../../sdk/x509-svid/verify.ts';
import type { NodeAttestorServer } from '../node-attestor-server.ts';
import { commonNameOf, fingerprintOf } from './certificate-names.ts';
import {
  challengeKindOf,
  NONCE_LENGTH,
  readCertificates,
  verifyResponse,
  writeChallenge,
} from './evidence.ts';
import { parsePathTemplate, type PathTemplate } from './path-template.ts';
import { selectorsOf } from './selectors.ts';

export const X509POP = 'x509pop';

/** Options of {@link x509popAttestor}. */
export interface X509popOptions {
  readonly trustDomain: TrustDomain;
  /** Whose certificates count. */
  readonly authorities:
    | { readonly mode: 'external_pki'; readonly certificates: readonly Certificate[] }
    | {
        readonly mode: 'spiffe';
        readonly bundles: X509BundleSource;
        /** The beginning of the paths of SVIDs that can be exchanged. Default `/spire-exchange/`. */
        readonly prefix?: string;
      };
  /** The path of an agent below `/spire/agent`. Default: its fingerprint, or (spiffe) the rest of its SVID's path. */
  readonly agentPathTemplate?: string;
  /** The most intermediates that are looked at. Default 4. */
  readonly maxIntermediates?: number;
  /** The largest RSA key, in bits. Default 8,192, which is the largest at all. */
  readonly maxRsaKeySize?: number;
  /** Whether the certificate must have the IP address that the node calls from. Default false. */
  readonly verifyClientIp?: boolean;
  readonly now?: () => number;
}

/** The fields that a template can have. */
export const TEMPLATE_FIELDS = [
  'PluginName',
  'TrustDomain',
  'Fingerprint',
  'SerialNumberHex',
  'Subject.CommonName',
  'SVIDPathTrimmed',
] as const;

const DEFAULT_PREFIX = '/spire-exchange/';

/** @throws Error if the template cannot be read, or names what there is not in this mode. */
export function x509popAttestor(options: X509popOptions): NodeAttestorServer {
  const { authorities } = options;
  const fields = TEMPLATE_FIELDS.filter(
    (name) => authorities.mode === 'spiffe' || name !== 'SVIDPathTrimmed',
  );
  const template = parsePathTemplate(options.agentPathTemplate ?? defaultTemplate(authorities.mode), fields);
  return {
    type: X509POP,
    async *attest(payload, peer) {
      const chain = reading('failed to unmarshal data', () => readCertificates(payload));
      const leaf = reading('unable to parse leaf certificate', () => parseCertificate(chain[0]!));
      const { path, svidPath } = refusing('certificate verification failed', () => {
        expectUsable(leaf, chain.length - 1, options);
        return judge(leaf, chain, options);
      });
      if (options.verifyClientIp === true) {
        refusing('client IP verification failed', () => expectAddress(chain[0]!, peer?.address));
      }
      const key = publicKeyOf(leaf);
      const nonce = randomBytes(NONCE_LENGTH);
      const response = yield writeChallenge(challengeKindOf(key)!, nonce);
      refusing('challenge response verification failed', () => verifyResponse(response, nonce, key));
      return {
        agentPath: refusing('no agent path', () => agentPathOf(leaf, svidPath, template, options)),
        selectors: selectorsOf(leaf, path, options.trustDomain).map((value) => ({ type: X509POP, value })),
        canReattest: true,
      };
    },
  };
}

function defaultTemplate(mode: X509popOptions['authorities']['mode']): string {
  return mode === 'spiffe'
    ? '{{ .PluginName }}/{{ .SVIDPathTrimmed }}'
    : '{{ .PluginName }}/{{ .Fingerprint }}';
}

function expectUsable(leaf: Certificate, intermediates: number, options: X509popOptions): void {
  const { maxIntermediates = 4, maxRsaKeySize = 8_192 } = options;
  if (intermediates > maxIntermediates) {
    throw new Error(`${intermediates} intermediates; at most ${maxIntermediates} are accepted`);
  }
  const key = publicKeyOf(leaf);
  if (challengeKindOf(key) === undefined)
    throw new Error(`a key of type ${key.asymmetricKeyType} cannot be proved`);
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits > maxRsaKeySize)
    throw new Error(`the RSA key has ${bits} bits; at most ${maxRsaKeySize} are accepted`);
  if (!hasKeyUsage(leaf.extensions, 'digitalSignature')) {
    throw new Error('the certificate is not intended for digital signatures');
  }
}

// The path to an authority, without the leaf, and (spiffe) the path of the SVID below the prefix.
function judge(
  leaf: Certificate,
  chain: readonly Buffer[],
  { authorities, now = Date.now }: X509popOptions,
): { readonly path: readonly Certificate[]; readonly svidPath?: string } {
  const time = now();
  const intermediates = chain.slice(1).map((der) => parseCertificate(der));
  if (authorities.mode === 'spiffe') {
    const { prefix = DEFAULT_PREFIX, bundles } = authorities;
    const { id, authority } = verifyX509Svid(chain, bundles, { now: time });
    const start = `/${prefix.replace(/^\/|\/$/g, '')}/`;
    if (!pathOf(id).startsWith(start)) throw new Error(`${id} is not below ${start}`);
    const path = findPath(leaf, intermediates, [authority], time)!.slice(1);
    return { path, svidPath: pathOf(id).slice(start.length) };
  }
  if (leaf.extensions.unknownCritical.length > 0) throw new Error('unknown critical extensions');
  if (time > leaf.notAfter) throw new Error('the certificate has expired');
  if (time < leaf.notBefore) throw new Error('the certificate is not valid yet');
  const path = findPath(leaf, intermediates, authorities.certificates, time);
  if (path === undefined) throw new Error('it leads to no CA of the configuration');
  return { path: path.slice(1) };
}

function expectAddress(leaf: Buffer, address: string | undefined): void {
  const plain = address?.replace(/^::ffff:(?=\d+\.)/i, '');
  if (plain !== undefined && new X509Certificate(leaf).checkIP(plain) !== undefined) return;
  throw new Error(`the certificate is not for the address ${plain ?? '(none)'}`);
}

function agentPathOf(
  leaf: Certificate,
  svidPath: string | undefined,
  template: PathTemplate,
  { trustDomain }: X509popOptions,
): string {
  const commonName = commonNameOf(leaf);
  // A slash in a name would let a certificate choose where among the agents it stands.
  const text = template({
    PluginName: X509POP,
    TrustDomain: trustDomain,
    Fingerprint: fingerprintOf(leaf),
    SerialNumberHex: leaf.serial,
    'Subject.CommonName': commonName?.includes('/') === true ? undefined : commonName,
    SVIDPathTrimmed: svidPath,
  });
  return `/spire/agent/${text.replace(/^\//, '')}`;
}

function reading<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new RpcError('INVALID_ARGUMENT', `${what}: ${messageOf(error)}`);
  }
}

function refusing<T>(what: string, judge: () => T): T {
  try {
    return judge();
  } catch (error) {
    throw new RpcError('PERMISSION_DENIED', `${what}: ${messageOf(error)}`);
  }
}
