// The authority of the trust domain: X.509, JWT and WIT keys, what they sign, and that none of it outlives its signer.
import type { Buffer } from 'node:buffer';
import { randomBytes, type KeyObject } from 'node:crypto';
import type { KeyManager, KeyType } from '../../daemon/key-manager/key-manager.ts';
import type { Logger } from '../../daemon/log.ts';
import { createJwtSvidIssuer } from '../../sdk/jwt-svid/issue.ts';
import type { JwsAlgorithm } from '../../sdk/jwt-svid/algorithm.ts';
import type { JwsSigner } from '../../sdk/jwt-svid/signer.ts';
import { isMemberOf, type SpiffeId, type TrustDomain } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import { issueX509Authority } from '../../sdk/x509-svid/template.ts';
import { createWitSvidIssuer } from '../../sdk/wit-svid/issue.ts';
import type { Store } from '../store/store.ts';
import { AuthoritySlots, type ActiveAuthority, type AuthoritySlotsOptions } from './authority-slots.ts';
import { pruned } from './bundle-changes.ts';
import { JWT_RULES, WIT_RULES } from './token-authority.ts';
import { X509_RULES, type X509SigningAuthority } from './x509-authority.ts';

/** Options of {@link openCertificateAuthority}. Durations are milliseconds. */
export interface CertificateAuthorityOptions {
  readonly trustDomain: TrustDomain;
  /** The server whose keys these are. Default: the only one there is. */
  readonly server?: string;
  readonly keys: KeyManager;
  /** Lifetime of every authority. */
  readonly ttl: number;
  /** How long a new authority waits before it signs, where other servers sign meanwhile. Default 0. */
  readonly publishDelay?: number;
  readonly keyType: KeyType;
  /** Absent: there are no JWT-SVIDs. */
  readonly jwt?: { readonly keyType: KeyType; readonly issuer?: string };
  /** Absent: there are no WIT-SVIDs (experimental). */
  readonly wit?: { readonly keyType: KeyType; readonly issuer?: string };
  readonly store: Pick<Store, 'authorities' | 'updateAuthorities'>;
  readonly log: Logger;
  readonly now?: () => number;
}

/** What an X509-SVID is to say. */
export interface SignX509Request {
  readonly id: SpiffeId;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Uint8Array;
  /** Milliseconds. */
  readonly ttl: number;
  readonly dnsNames?: readonly string[];
  /** The name of the subject, DER. Default: ours, and the first DNS name. */
  readonly subject?: Uint8Array;
}

/** An X509-SVID that was signed. */
export interface SignedX509Svid {
  /** DER, leaf first; a self-signed authority is never part of it. */
  readonly chain: readonly Uint8Array[];
  readonly id: SpiffeId;
  /** Decimal, as SPIRE's database and API have it. */
  readonly serial: string;
  /** Seconds. */
  readonly notAfter: number;
  /** The authority that signed. */
  readonly authorityId: string;
}

/** A JWT- or WIT-SVID that was signed. Times are seconds. */
export interface SignedToken {
  readonly token: string;
  readonly id: SpiffeId;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

// SVIDs begin a little in the past, for clocks that lag.
const BACKDATED = 10_000;

/** Opens the authority: finds the signing keys in the journal, or makes the first. */
export async function openCertificateAuthority(
  options: CertificateAuthorityOptions,
): Promise<CertificateAuthority> {
  const authority = new CertificateAuthority(options);
  for (const slots of authority.kinds) await slots.load();
  await authority.tick();
  return authority;
}

export class CertificateAuthority {
  readonly x509: AuthoritySlots<X509SigningAuthority>;
  readonly jwt: AuthoritySlots<JwsSigner> | undefined;
  readonly wit: AuthoritySlots<JwsSigner> | undefined;
  readonly #options: CertificateAuthorityOptions;
  readonly #now: () => number;
  readonly #issueJwt = once((signer: JwsSigner) => createJwtSvidIssuer(signer));
  readonly #issueWit = once((signer: JwsSigner) =>
    createWitSvidIssuer(signer, { experimental: { wit: true }, issuer: this.#options.wit?.issuer }),
  );

  constructor(options: CertificateAuthorityOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const { trustDomain, server = '', keys, ttl, publishDelay = 0, store, log } = options;
    const slots = (keyType: KeyType): AuthoritySlotsOptions => ({
      trustDomain,
      server,
      keys,
      keyType,
      ttl,
      publishDelay,
      store,
      log,
      now: this.#now,
    });
    this.x509 = new AuthoritySlots(X509_RULES, slots(options.keyType));
    this.jwt = options.jwt && new AuthoritySlots(JWT_RULES, slots(options.jwt.keyType));
    this.wit = options.wit && new AuthoritySlots(WIT_RULES, slots(options.wit.keyType));
  }

  /** The kinds of authority that this server has. */
  get kinds(): readonly Pick<AuthoritySlots<unknown>, 'load' | 'reload' | 'tick' | 'active'>[] {
    return [this.x509, this.jwt, this.wit].filter((slots) => slots !== undefined);
  }

  /** Whether every kind of authority has a key that signs. A server that joins others has none at first. */
  get isReady(): boolean {
    return this.kinds.every(({ active }) => active !== undefined);
  }

  /** Looks at the journal again, after the database was restored, and does whatever is due. */
  async reload(): Promise<void> {
    for (const slots of this.kinds) await slots.reload();
    await this.tick();
  }

  /** Does whatever is due: prepares, activates and prunes. */
  async tick(): Promise<void> {
    for (const slots of this.kinds) await slots.tick();
    await this.#prune();
  }

  /** Signs an X509-SVID. */
  async signX509(request: SignX509Request): Promise<SignedX509Svid> {
    this.#expectOwn(request.id);
    const now = this.#now();
    const { record, signer } = this.#active(this.x509, 'X509 CA', now);
    const notAfter = Math.min(now + request.ttl, record.notAfter);
    const serial = randomSerial();
    const leaf = await signer.issue({
      id: request.id,
      publicKeyInfo: request.publicKeyInfo,
      notBefore: now - BACKDATED,
      notAfter,
      dnsNames: request.dnsNames,
      subject: request.subject,
      serial,
    });
    return {
      chain: [leaf],
      id: request.id,
      serial: BigInt(`0x${serial.toString('hex')}`).toString(),
      notAfter: Math.floor(notAfter / 1_000),
      authorityId: record.id,
    };
  }

  /** Signs a signing certificate for a server of the same trust domain below this one. Times are milliseconds. */
  async signDownstreamCa(request: {
    readonly publicKey: KeyObject;
    readonly ttl?: number;
  }): Promise<{ readonly chain: readonly Uint8Array[]; readonly notAfter: number }> {
    const now = this.#now();
    const { signer } = this.#active(this.x509, 'X509 CA', now);
    const der = await issueX509Authority({
      trustDomain: this.#options.trustDomain,
      publicKey: request.publicKey,
      notBefore: now - BACKDATED,
      notAfter: now + (request.ttl ?? this.#options.ttl),
      sign: signer.sign,
      issuer: signer,
    });
    return { chain: [der], notAfter: parseCertificate(der).notAfter };
  }

  /** Signs a JWT-SVID. `ttl` is milliseconds. */
  async signJwt(request: {
    readonly id: SpiffeId;
    readonly audience: readonly string[];
    readonly ttl: number;
    /** `jti`. Default: none. */
    readonly tokenId?: string;
  }): Promise<SignedToken> {
    this.#expectOwn(request.id);
    const { id, audience, tokenId } = request;
    const now = this.#now();
    const { record, signer } = this.#active(this.jwt, 'JWT key', now);
    const expiresAt = Math.min(now + request.ttl, record.notAfter);
    const issuer = this.#options.jwt?.issuer;
    const claims: Record<string, string> = issuer === undefined ? {} : { iss: issuer };
    const token = await this.#issueJwt(signer)({ id, audience, expiresAt, issuedAt: now, tokenId, claims });
    return { token, id, issuedAt: Math.floor(now / 1_000), expiresAt: Math.floor(expiresAt / 1_000) };
  }

  /** Signs a WIT-SVID for a key. `ttl` is milliseconds. */
  async signWit(request: {
    readonly id: SpiffeId;
    readonly key: KeyObject;
    readonly algorithm: JwsAlgorithm;
    readonly ttl: number;
  }): Promise<SignedToken> {
    this.#expectOwn(request.id);
    const { id, key, algorithm } = request;
    const now = this.#now();
    const { record, signer } = this.#active(this.wit, 'WIT key', now);
    const expiresAt = Math.min(now + request.ttl, record.notAfter);
    const token = await this.#issueWit(signer)({
      id,
      confirmationKey: key,
      confirmationAlgorithm: algorithm,
      expiresAt,
      issuedAt: now,
    });
    return { token, id, issuedAt: Math.floor(now / 1_000), expiresAt: Math.floor(expiresAt / 1_000) };
  }

  // Rotation has failed for a long time if it has expired, and the log says why: an SVID that nobody accepts is no answer.
  #active<Signer>(
    slots: AuthoritySlots<Signer> | undefined,
    what: string,
    now: number,
  ): ActiveAuthority<Signer> {
    const active = slots?.active;
    if (active === undefined) throw new Error(`${what} is not available for signing`);
    if (now >= active.record.notAfter) {
      throw new Error(`${what} is not available for signing: ${active.record.id} has expired`);
    }
    return active;
  }

  #expectOwn(id: SpiffeId): void {
    if (isMemberOf(id, this.#options.trustDomain)) return;
    throw new Error(`${id} is not of ${this.#options.trustDomain}: this authority cannot vouch for it`);
  }

  async #prune(): Promise<void> {
    const { store, log } = this.#options;
    const { bundle } = await store.authorities();
    const now = this.#now();
    if (bundle === undefined || pruned(bundle, now) === bundle) return;
    await store.updateAuthorities(({ records, bundle: before }) =>
      before === undefined ? undefined : { records, bundle: pruned(before, now) },
    );
    log.info('pruned expired authorities from the bundle');
  }
}

// One issuer a signer: its fixed parts are encoded once.
function once<Key extends object, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const known = new WeakMap<Key, Value>();
  return (key) => {
    let value = known.get(key);
    if (value === undefined) known.set(key, (value = make(key)));
    return value;
  };
}

// As in the SDK's template: uniform, positive, 16 bytes at most. Made here because the decimal form is needed, too.
function randomSerial(): Buffer {
  const bytes = randomBytes(16);
  bytes[0]! &= 0x7f;
  bytes[15]! |= 1;
  return bytes;
}
