// The server's own SVID: a key in memory, a certificate from its own authority, renewed at half of its life.
import { createPublicKey } from 'node:crypto';
import { generatePrivateKey } from '../../daemon/key-manager/local-key.ts';
import type { KeyType } from '../../daemon/key-manager/key-manager.ts';
import { spiffeIdOf, type SpiffeId, type TrustDomain } from '../../sdk/spiffe-id.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import type { CertificateAuthority, SignedX509Svid } from './certificate-authority.ts';

/** The ID under which every server of a trust domain answers; agents accept no other. */
export function serverIdOf(trustDomain: TrustDomain): SpiffeId {
  return spiffeIdOf(trustDomain, '/spire/server');
}

/** Options of {@link ServerSvid}. */
export interface ServerSvidOptions {
  readonly trustDomain: TrustDomain;
  readonly ca: Pick<CertificateAuthority, 'signX509'>;
  readonly keyType: KeyType;
  /** Milliseconds. */
  readonly ttl: number;
  /** Whether an authority is tainted: what it signed is replaced at once. Default: none is. */
  readonly isTainted?: (authorityId: string) => boolean;
  readonly now?: () => number;
}

/** Certificate and key as TLS takes them (PEM). */
export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
}

export class ServerSvid {
  readonly #options: ServerSvidOptions;
  readonly #now: () => number;
  #renewAt = -Infinity;
  #current: SignedX509Svid | undefined;

  constructor(options: ServerSvidOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** The SVID in use. */
  get current(): SignedX509Svid | undefined {
    return this.#current;
  }

  /** Whether half of the current SVID's life is over, its authority is tainted, or there is none. */
  get isDue(): boolean {
    const { isTainted = () => false } = this.#options;
    return (
      this.#now() >= this.#renewAt || this.#current === undefined || isTainted(this.#current.authorityId)
    );
  }

  /** Makes a new key and a new SVID. */
  async renew(): Promise<TlsIdentity> {
    const { ca, keyType, trustDomain, ttl } = this.#options;
    const privateKey = await generatePrivateKey(keyType);
    const issuedAt = this.#now();
    const svid = await ca.signX509({
      id: serverIdOf(trustDomain),
      publicKeyInfo: createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
      ttl,
    });
    this.#current = svid;
    this.#renewAt = issuedAt + (svid.notAfter * 1_000 - issuedAt) / 2;
    return {
      cert: pemOf('CERTIFICATE', svid.chain),
      key: pemOf('PRIVATE KEY', [privateKey.export({ type: 'pkcs8', format: 'der' })]),
    };
  }
}
