// The authorities of one kind on one server: two keys in the key manager, a journal and the bundle in the store. One of
// them signs; the other comes next, or was before. It survives restarts, and does one thing at a time.
import type { KeyManager, KeyType, ManagedKey } from '../../daemon/key-manager/key-manager.ts';
import type { Logger } from '../../daemon/log.ts';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import type { AuthorityKind, AuthorityRecord, AuthorityState, Store } from '../store/store.ts';
import { emptyBundle, taintOf, withAuthorities, withoutAuthority, withTaint } from './bundle-changes.ts';
import type { Additions } from './bundle-changes.ts';
import { nextStep } from './schedule.ts';
import {
  AuthorityError,
  expectActive,
  expectOld,
  expectPrepared,
  foreignKey,
  freeSlot,
  slotsOf,
  type Slots,
} from './slots.ts';

/** What a new authority is made from. Times are milliseconds. */
export interface AuthorityRequest {
  readonly trustDomain: TrustDomain;
  readonly key: ManagedKey;
  readonly now: number;
  readonly notAfter: number;
}

/** What differs between X.509, JWT and WIT. */
export interface KindRules<Signer> {
  readonly kind: AuthorityKind;
  /** How people call it, such as `X.509 authority`. */
  readonly name: string;
  /** The beginning of the names of its keys in the key manager, such as `x509-CA-`. */
  readonly keyPrefix: string;
  /**
   * Makes an authority from a new key, and proves it by a throw-away SVID.
   *
   * @throws if what it signed does not verify.
   */
  make(request: AuthorityRequest): Promise<Pick<AuthorityRecord, 'id' | 'notAfter' | 'material'>>;
  /** Signs with an authority's key; undefined if the key is not (any more) the authority's. */
  signer(record: AuthorityRecord, key: ManagedKey | undefined): Signer | undefined;
  /** What goes into the bundle for it. */
  published(record: AuthorityRecord): Additions;
}

/** Options of {@link AuthoritySlots}. Durations are milliseconds. */
export interface AuthoritySlotsOptions {
  readonly trustDomain: TrustDomain;
  /** The server whose keys these are; several servers share one store. */
  readonly server: string;
  readonly keys: KeyManager;
  readonly keyType: KeyType;
  readonly ttl: number;
  /** How long an authority must have been in the bundle before it signs, where other servers sign meanwhile. */
  readonly publishDelay: number;
  readonly store: Pick<Store, 'authorities' | 'updateAuthorities'>;
  readonly log: Logger;
  readonly now: () => number;
}

/** The authority that signs. */
export interface ActiveAuthority<Signer> {
  readonly record: AuthorityRecord;
  readonly signer: Signer;
}

export class AuthoritySlots<Signer> {
  readonly #rules: KindRules<Signer>;
  readonly #options: AuthoritySlotsOptions;
  #slots: Slots = { active: undefined, other: undefined };
  #active: ActiveAuthority<Signer> | undefined;
  /** Until when other servers' authorities are good; agents can live on those. */
  #othersUntil = -Infinity;
  #running: Promise<unknown> = Promise.resolve();

  constructor(rules: KindRules<Signer>, options: AuthoritySlotsOptions) {
    this.#rules = rules;
    this.#options = options;
  }

  /** What signs now. */
  get active(): ActiveAuthority<Signer> | undefined {
    return this.#active;
  }

  /** Both slots, for those who ask. */
  get slots(): Slots {
    return this.#slots;
  }

  /** Finds the authorities of before a restart. Keys that are lost, and authorities that were withdrawn, are left. */
  async load(): Promise<void> {
    const { records, bundle } = await this.#options.store.authorities();
    const trusted = records.filter(({ kind, id }) => taintOf(bundle, kind, id) !== undefined);
    this.#noteOthers(trusted);
    this.#slots = slotsOf(trusted, this.#owner);
    this.#active = this.#adopt(this.#slots.active);
  }

  /** Looks at the journal again, after it changed in other ways than by this server alone. */
  reload(): Promise<void> {
    return this.#exclusively(() => this.load());
  }

  /** Does whatever is due: prepares, activates. */
  tick(): Promise<void> {
    return this.#exclusively(async () => {
      // Two steps at most are due at once: after a long stop, an authority is prepared and takes over right away.
      for (let steps = 0; steps < 3; steps++) {
        const next = this.#slots.other?.status === 'prepared' ? this.#slots.other : undefined;
        const step = nextStep(this.#active?.record, next, this.#options.now());
        if (step === 'none') return;
        if (step === 'prepare') await this.#prepare();
        else if (this.#isKnown(next!)) await this.#activate(next!);
        else return;
      }
    });
  }

  /** Makes the authority that comes next, in the place of one that was prepared or signed before. */
  prepare(): Promise<AuthorityRecord> {
    return this.#exclusively(async () => {
      expectActive(this.#slots);
      return this.#prepare();
    });
  }

  /** Lets the prepared authority sign. */
  activate(id: string): Promise<AuthorityRecord> {
    return this.#exclusively(async () => {
      const next = expectPrepared(this.#slots, id);
      await this.#activate(next);
      if (this.#active?.record.id === id) return this.#active.record;
      throw new Error(`the key of the prepared ${this.#rules.name} ${id} is missing; it was given up`);
    });
  }

  /** Marks the authority that signed before: everything that it signed is to be replaced at once. */
  taint(id: string): Promise<AuthorityRecord> {
    const { kind, name } = this.#rules;
    return this.#exclusively(async () => {
      const old = expectOld(this.#slots, id, 'tainted');
      await this.#save(({ records, bundle }) => {
        const tainted = taintOf(bundle, kind, id);
        if (tainted === undefined)
          throw new AuthorityError('argument', `no ${name} with this ID in the bundle`);
        if (tainted) {
          throw new AuthorityError('argument', `${kind === 'x509' ? 'root CA' : 'key'} is already tainted`);
        }
        return { records, bundle: withTaint(bundle!, kind, id) };
      });
      this.#options.log.info({ authority_id: id }, `${name} tainted successfully`);
      return old;
    });
  }

  /** Takes a tainted authority out of the bundle: what it signed is no longer trusted. */
  revoke(id: string): Promise<AuthorityRecord> {
    const { kind, name } = this.#rules;
    return this.#exclusively(async () => {
      const old = this.#revocable(id);
      let revoked = old;
      await this.#save(({ records, bundle }) => {
        const tainted = taintOf(bundle, kind, id);
        // A key that another server, or a trust domain below this one, published.
        const foreign = old === undefined ? foreignKey(bundle, kind, id) : undefined;
        revoked ??= foreign;
        if (tainted === undefined || revoked === undefined) {
          throw new AuthorityError('argument', 'unexpected authority ID');
        }
        if (!tainted) {
          const what = kind === 'x509' ? 'root CA' : 'key';
          throw new AuthorityError('argument', `it is not possible to revoke an untainted ${what}`);
        }
        return {
          records: records.filter((record) => record.id !== id),
          bundle: withoutAuthority(bundle!, kind, id),
        };
      });
      this.#options.log.info({ authority_id: id }, `${name} revoked successfully`);
      return revoked!;
    });
  }

  // Undefined: none of our own, but perhaps another key of the bundle (JWT and WIT alone).
  #revocable(id: string): AuthorityRecord | undefined {
    const { active, other } = this.#slots;
    const isOwn = id === '' || id === active?.id || id === other?.id;
    if (!isOwn && this.#rules.kind !== 'x509') {
      expectActive(this.#slots);
      return undefined;
    }
    return expectOld(this.#slots, id, 'revoked');
  }

  async #prepare(): Promise<AuthorityRecord> {
    const { keys, keyType, trustDomain, ttl, log, server } = this.#options;
    const slot = freeSlot(this.#slots);
    const now = this.#options.now();
    const key = await keys.generateKey(this.#keyId(slot), keyType);
    const made = await this.#rules.make({ trustDomain, key, now, notAfter: now + ttl });
    const { kind } = this.#rules;
    const record: AuthorityRecord = { ...made, kind, server, slot, status: 'prepared', issuedAt: now };
    await this.#save(({ records, bundle = emptyBundle(trustDomain) }) => {
      // What the slot held has lost its key. If it was prepared, it signed nothing, and nobody needs it in the bundle.
      const lost = records.filter((before) => this.#isOwn(before) && before.slot === slot);
      const unused = lost.filter(({ status }) => status === 'prepared');
      const without = unused.reduce((left, { id }) => withoutAuthority(left, kind, id), bundle);
      return {
        records: [...records.filter((before) => !lost.includes(before)), record],
        bundle: withAuthorities(without, this.#rules.published(record)),
      };
    });
    log.info(
      { authority_id: record.id, slot, not_after: new Date(record.notAfter).toISOString() },
      `${this.#rules.name} prepared`,
    );
    return record;
  }

  async #activate(next: AuthorityRecord): Promise<void> {
    const active = this.#adopt({ ...next, status: 'active' });
    await this.#save(({ records, bundle }) => {
      // Without its key it can never sign: forget it, and another is prepared.
      if (active === undefined) return { records: records.filter(({ id }) => id !== next.id), bundle };
      const after = records.map((record) => {
        if (record.id === next.id) return active.record;
        return this.#isOwn(record) && record.status === 'active'
          ? { ...record, status: 'old' as const }
          : record;
      });
      return { records: after, bundle };
    });
    if (active === undefined) return;
    this.#active = active;
    this.#options.log.info({ authority_id: next.id, slot: next.slot }, `${this.#rules.name} activated`);
  }

  // Whether every agent that follows the bundle has had the time to learn of an authority. Where nobody else signs,
  // waiting would help no one.
  #isKnown(next: AuthorityRecord): boolean {
    const now = this.#options.now();
    return now >= this.#othersUntil || now >= next.issuedAt + this.#options.publishDelay;
  }

  #noteOthers(records: readonly AuthorityRecord[]): void {
    const { kind, server } = this.#owner;
    const others = records.filter(
      (record) => record.kind === kind && record.server !== server && record.status === 'active',
    );
    this.#othersUntil = Math.max(-Infinity, ...others.map(({ notAfter }) => notAfter));
  }

  #adopt(record: AuthorityRecord | undefined): ActiveAuthority<Signer> | undefined {
    if (record === undefined) return undefined;
    const signer = this.#rules.signer(record, this.#options.keys.key(this.#keyId(record.slot)));
    if (signer !== undefined) return { record, signer };
    this.#options.log.warn(
      { authority_id: record.id, slot: record.slot },
      `the key of the ${this.#rules.name} is missing: another takes its place; it stays in the bundle until it expires`,
    );
    return undefined;
  }

  async #save(change: (before: AuthorityState) => AuthorityState): Promise<void> {
    const { records } = await this.#options.store.updateAuthorities(change);
    this.#slots = slotsOf(records, this.#owner);
    this.#noteOthers(records);
  }

  #isOwn(record: AuthorityRecord): boolean {
    return record.kind === this.#owner.kind && record.server === this.#owner.server;
  }

  get #owner(): { kind: AuthorityKind; server: string } {
    return { kind: this.#rules.kind, server: this.#options.server };
  }

  #keyId(slot: AuthorityRecord['slot']): string {
    return this.#rules.keyPrefix + slot;
  }

  #exclusively<T>(body: () => Promise<T>): Promise<T> {
    const run = this.#running.then(body);
    this.#running = run.catch(() => {});
    return run;
  }
}
