// The X.509 authority of the trust domain: two slots of keys in the key manager, their certificates in the store's
// journal, one of them signing. It survives restarts with the same root.
import { randomBytes } from 'node:crypto';
import type { Buffer } from 'node:buffer';
import type { KeyManager, KeyType } from '../../daemon/key-manager/key-manager.ts';
import type { Logger } from '../../daemon/log.ts';
import type { X509Bundle, X509BundleSource } from '../../sdk/bundle/x509-bundle.ts';
import type { SpiffeId, TrustDomain } from '../../sdk/spiffe-id.ts';
import { parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import type { AuthorityJournal, AuthorityRecord, Store } from '../store/store.ts';
import { issueAuthority, keyIdOf, signerOf, type Issue } from './authority.ts';
import { isPrunable, nextStep } from './schedule.ts';

/** Options of {@link createX509Ca}. Durations are milliseconds. */
export interface X509CaOptions {
  readonly trustDomain: TrustDomain;
  readonly keys: KeyManager;
  readonly keyType: KeyType;
  readonly ttl: number;
  readonly store: Pick<Store, 'authorities' | 'saveAuthorities'>;
  readonly log: Logger;
  readonly now?: () => number;
}

/** What an SVID is to say. */
export interface SignRequest {
  readonly id: SpiffeId;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyInfo: Uint8Array;
  /** Milliseconds. */
  readonly ttl: number;
  readonly dnsNames?: readonly string[];
}

/** An SVID that was signed. */
export interface SignedX509Svid {
  /** DER, leaf first; a self-signed authority is never part of it. */
  readonly chain: readonly Uint8Array[];
  readonly id: SpiffeId;
  /** Decimal, as SPIRE's database and API have it. */
  readonly serial: string;
  /** Seconds. */
  readonly notAfter: number;
}

/** SVIDs begin a little in the past, for clocks that lag. */
const BACKDATED = 10_000;

/** Opens the authority: finds the signing certificate in the journal, or makes the first. */
export async function createX509Ca(options: X509CaOptions): Promise<X509Ca> {
  const ca = new X509Ca(options, await options.store.authorities());
  await ca.tick();
  return ca;
}

export class X509Ca implements X509BundleSource {
  readonly #options: X509CaOptions;
  readonly #now: () => number;
  #journal: AuthorityJournal;
  #bundle: X509Bundle;
  #active: { readonly record: AuthorityRecord; readonly issue: Issue } | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: X509CaOptions, journal: AuthorityJournal) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#journal = journal;
    this.#bundle = this.#bundleOf(journal);
    this.#active = this.#adopt(journal.records.find(({ status }) => status === 'active'));
  }

  /** The bundle of this trust domain; of others this authority knows nothing. */
  x509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return trustDomain === this.#options.trustDomain ? this.#bundle : undefined;
  }

  /** The bundle with its number, which grows when the bundle changes. */
  get bundle(): { readonly sequence: number; readonly authorities: X509Bundle['authorities'] } {
    return { sequence: this.#journal.bundleSequence, authorities: this.#bundle.authorities };
  }

  /** Signs an SVID. It never outlives the signing certificate. */
  async sign(request: SignRequest): Promise<SignedX509Svid> {
    if (this.#active === undefined) throw new Error('there is no signing certificate yet');
    const { record, issue } = this.#active;
    const now = this.#now();
    // Rotation has failed for a long time, and the log says why: an SVID that nobody accepts is no answer.
    if (now >= record.notAfter) throw new Error(`the signing certificate ${record.id} has expired`);
    const notAfter = Math.min(now + request.ttl, record.notAfter);
    const serial = randomSerial();
    const leaf = await issue({
      id: request.id,
      publicKeyInfo: request.publicKeyInfo,
      notBefore: now - BACKDATED,
      notAfter,
      dnsNames: request.dnsNames,
      serial,
    });
    return {
      chain: [leaf],
      id: request.id,
      serial: BigInt(`0x${serial.toString('hex')}`).toString(),
      notAfter: Math.floor(notAfter / 1_000),
    };
  }

  /** Does whatever is due: prepares, activates and prunes. Calls never overlap. */
  tick(): Promise<void> {
    const run = this.#running.then(() => this.#advance());
    this.#running = run.catch(() => {});
    return run;
  }

  async #advance(): Promise<void> {
    await this.#rotate();
    await this.#prune();
  }

  async #rotate(): Promise<void> {
    // Two steps at most are due at once: after a long stop, a certificate is prepared and takes over right away.
    for (let steps = 0; steps < 3; steps++) {
      const next = this.#next();
      const step = nextStep(this.#active?.record, next, this.#now());
      if (step === 'none') return;
      if (step === 'prepare') await this.#prepare();
      else await this.#activate(next!);
    }
  }

  #next(): AuthorityRecord | undefined {
    return this.#journal.records.find(({ status }) => status === 'prepared');
  }

  async #prepare(): Promise<void> {
    const { keys, keyType, trustDomain, ttl, log } = this.#options;
    const slot = this.#active?.record.slot === 'A' ? 'B' : 'A';
    const key = await keys.generateKey(keyIdOf(slot), keyType);
    const record = await issueAuthority({ trustDomain, key, slot, ttl, now: this.#now() });
    // What an earlier try prepared has lost its key to this one; its certificate signed nothing.
    const kept = this.#journal.records.filter(({ status }) => status !== 'prepared');
    await this.#save([...kept, record]);
    log.info({ authority_id: record.id, slot, not_after: isoOf(record) }, 'prepared a signing certificate');
  }

  async #activate(next: AuthorityRecord): Promise<void> {
    const active = this.#adopt({ ...next, status: 'active' });
    if (active === undefined) {
      // Without its key it can never sign: forget it, and prepare another.
      await this.#save(this.#journal.records.filter(({ id }) => id !== next.id));
      return;
    }
    await this.#save(
      this.#journal.records.map((record) => {
        if (record.id === next.id) return active.record;
        return record.status === 'active' ? { ...record, status: 'old' } : record;
      }),
    );
    this.#active = active;
    this.#options.log.info({ authority_id: next.id, slot: next.slot }, 'activated a signing certificate');
  }

  async #prune(): Promise<void> {
    const now = this.#now();
    const kept = this.#journal.records.filter(
      (record) => record.status === 'active' || !isPrunable(record, now),
    );
    if (kept.length === this.#journal.records.length) return;
    this.#options.log.info(
      { pruned: this.#journal.records.length - kept.length },
      'pruned expired signing certificates',
    );
    await this.#save(kept);
  }

  #adopt(record: AuthorityRecord | undefined): { record: AuthorityRecord; issue: Issue } | undefined {
    if (record === undefined) return undefined;
    const issue = signerOf(record, this.#options.keys.key(keyIdOf(record.slot)));
    if (issue !== undefined) return { record, issue };
    this.#options.log.warn(
      { authority_id: record.id, slot: record.slot },
      'the key of a signing certificate is missing: another takes its place; it stays in the bundle until it expires',
    );
    return undefined;
  }

  async #save(records: readonly AuthorityRecord[]): Promise<void> {
    this.#journal = await this.#options.store.saveAuthorities(records);
    this.#bundle = this.#bundleOf(this.#journal);
  }

  #bundleOf(journal: AuthorityJournal): X509Bundle {
    const { trustDomain } = this.#options;
    return {
      trustDomain,
      authorities: journal.records.map(({ certificate }) => parseCertificate(certificate)),
    };
  }
}

function isoOf(record: AuthorityRecord): string {
  return new Date(record.notAfter).toISOString();
}

// As in the SDK's template: uniform, positive, 16 bytes at most. Made here because the decimal form is needed, too.
function randomSerial(): Buffer {
  const bytes = randomBytes(16);
  bytes[0]! &= 0x7f;
  bytes[15]! |= 1;
  return bytes;
}
