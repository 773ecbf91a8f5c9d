// One agent's stream: what it has been or is about to be told, and what is to be told next. What waits is bounded; an
// agent that falls behind is told everything anew.
import { createHash } from 'node:crypto';
import type { RpcError } from '../../daemon/grpc/rpc-error.ts';
import type { WatchResponse } from '../../sdk/api/gen/sigil/sync/v1/sync_pb.ts';
import { parseTrustDomain, type SpiffeId, type TrustDomain } from '../../sdk/spiffe-id.ts';
import type { EntryDelta } from '../entry/agent-views.ts';
import type { Bundle, Entry } from '../store/store.ts';
import type { DenialChange } from './denials.ts';
import { bundlePart, denialPart, endPart, messagesOf, SNAPSHOT, type Part } from './encode.ts';
import type { PushView } from './push-view.ts';

/** Options of {@link Subscriber}. */
export interface SubscriberOptions {
  readonly id: SpiffeId;
  readonly view: PushView;
  /** How many changes wait at most. */
  readonly maxPending: number;
}

export class Subscriber {
  readonly #options: SubscriberOptions;
  #entries: Map<string, Entry>;
  readonly #pending = new Map<string, Entry | undefined>();
  readonly #bundles = new Map<TrustDomain, Bundle | undefined>();
  #denials: DenialChange[] = [];
  /** Foreign trust domains that entries federate with, once they were looked for. */
  #partners: ReadonlySet<TrustDomain>;
  #isBehind = false;
  #isNudged = false;
  #ended: RpcError | undefined;
  #wake: (() => void) | undefined;
  /** Seconds: when the first of the entries expires. */
  validUntil: number;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.#entries = new Map(options.view.entriesOf(options.id));
    this.validUntil = options.view.validUntil(options.id);
    this.#partners = this.#findPartners();
  }

  get entries(): ReadonlyMap<string, Entry> {
    return this.#entries;
  }

  /** Follows a change of this agent's entries. */
  follow(delta: EntryDelta): void {
    if (delta.anew) {
      this.refresh();
      return;
    }
    let federates = false;
    for (const [id, entry] of delta.changed) {
      const before = this.#entries.get(id);
      federates ||= (before?.federatesWith.length ?? 0) + (entry?.federatesWith.length ?? 0) > 0;
      this.#put(id, entry);
    }
    if (federates) this.#followPartners();
    this.#wake?.();
  }

  /** Looks for all entries anew, and tells what differs. */
  refresh(): void {
    const { view, id } = this.#options;
    const entries = view.entriesOf(id);
    this.validUntil = view.validUntil(id);
    for (const known of this.#entries.keys()) if (!entries.has(known)) this.#put(known, undefined);
    for (const [known, entry] of entries) if (this.#entries.get(known) !== entry) this.#put(known, entry);
    this.#followPartners();
    this.#wake?.();
  }

  /** Follows a change of a bundle. */
  followBundle(trustDomain: TrustDomain): void {
    const { view } = this.#options;
    if (trustDomain !== view.trustDomain && !this.#partners.has(trustDomain)) return;
    this.#bundles.set(trustDomain, view.bundle(trustDomain));
    this.#wake?.();
  }

  followDenials(changes: readonly DenialChange[]): void {
    this.#denials.push(...changes);
    if (this.#denials.length > this.#options.maxPending) this.restart();
    this.#wake?.();
  }

  /** Tells everything anew. */
  restart(): void {
    this.#isBehind = true;
    this.#forget();
    this.#wake?.();
  }

  /** Tells where the agent stands now, although nothing of its own has changed. */
  nudge(): void {
    this.#isNudged = true;
    this.#wake?.();
  }

  /** Ends the stream with an error. */
  end(error: RpcError): void {
    this.#ended ??= error;
    this.#wake?.();
  }

  /** @throws RpcError once the stream is to end. */
  expectOpen(): void {
    if (this.#ended !== undefined) throw this.#ended;
  }

  /** Resolves when there is something to tell, or the stream is to end. */
  ready(signal: AbortSignal): Promise<void> {
    if (this.#hasWork() || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        this.#wake = undefined;
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#wake = done;
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /**
   * What is to be told now, as messages that are made one by one.
   *
   * @throws RpcError at the end of the stream.
   */
  *next(): Generator<WatchResponse, void, undefined> {
    this.expectOpen();
    const { view } = this.#options;
    if (this.#isBehind) {
      yield* this.snapshot();
      return;
    }
    const only = this.#onlyChange();
    if (only !== undefined) {
      this.#forget();
      yield view.shared(...only);
      return;
    }
    if (!this.#hasWork()) return;
    if (this.#pending.size + this.#bundles.size + this.#denials.length === 0) {
      this.#forget();
      yield view.standing;
      return;
    }
    const parts = this.#changes();
    const end = endPart(view.position);
    this.#forget();
    yield* messagesOf(parts, end);
  }

  /** Everything. */
  *snapshot(): Generator<WatchResponse, void, undefined> {
    const { view } = this.#options;
    this.#isBehind = false;
    this.#forget();
    const end = endPart(view.position);
    const [entries, beginning] = [[...this.#entries.values()], [...this.#beginning()]];
    const parts = function* (): Generator<Part> {
      yield SNAPSHOT;
      yield* beginning;
      for (const entry of entries) yield view.part(entry.id, entry);
    };
    yield* messagesOf(parts(), end);
  }

  /** What an agent missed that has been told everything up to a position: given are IDs of entries written since. */
  *resume(ids: ReadonlySet<string>): Generator<WatchResponse, void, undefined> {
    if (this.#isBehind) {
      yield* this.snapshot();
      return;
    }
    const { view } = this.#options;
    for (const id of ids) this.#pending.set(id, this.#entries.get(id));
    const [beginning, changes] = [[...this.#beginning()], [...this.#pending]];
    const parts = function* (): Generator<Part> {
      yield* beginning;
      for (const [id, entry] of changes) yield view.part(id, entry);
    };
    const end = endPart(view.position, digestOf(this.#entries.values()));
    this.#forget();
    yield* messagesOf(parts(), end);
  }

  // What the first update of a stream tells besides entries.
  *#beginning(): Generator<Part> {
    const { view } = this.#options;
    yield bundlePart(view.trustDomain, view.bundle(view.trustDomain));
    for (const name of this.#partners) yield bundlePart(name, view.bundle(name));
    for (const denial of view.denials()) yield denialPart(denial, false);
  }

  // Made as they are asked for, from what is to be told now.
  #changes(): Iterable<Part> {
    const { view } = this.#options;
    const [entries, bundles, denials] = [[...this.#pending], [...this.#bundles], this.#denials];
    const parts = function* (): Generator<Part> {
      for (const [name, bundle] of bundles) yield bundlePart(name, bundle);
      for (const { denial, isLifted } of denials) yield denialPart(denial, isLifted);
      for (const [id, entry] of entries) yield view.part(id, entry);
    };
    return parts();
  }

  // The usual case: one entry changed, and everybody whom it concerns gets the same bytes.
  #onlyChange(): [string, Entry | undefined] | undefined {
    if (this.#pending.size !== 1 || this.#bundles.size > 0 || this.#denials.length > 0) return undefined;
    return [...this.#pending][0];
  }

  #put(id: string, entry: Entry | undefined): void {
    if (entry === undefined) this.#entries.delete(id);
    else {
      this.#entries.set(id, entry);
      if (entry.expiresAt !== 0) this.validUntil = Math.min(this.validUntil, entry.expiresAt);
    }
    if (this.#isBehind) return;
    this.#pending.set(id, entry);
    if (this.#pending.size > this.#options.maxPending) this.restart();
  }

  #followPartners(): void {
    const before = this.#partners;
    this.#partners = this.#findPartners();
    for (const name of this.#partners) if (!before.has(name)) this.followBundle(name);
    for (const name of before) if (!this.#partners.has(name)) this.#bundles.set(name, undefined);
  }

  #findPartners(): Set<TrustDomain> {
    const partners = new Set<TrustDomain>();
    for (const { federatesWith } of this.#entries.values()) {
      for (const name of federatesWith) partners.add(parseTrustDomain(name));
    }
    partners.delete(this.#options.view.trustDomain);
    return partners;
  }

  #hasWork(): boolean {
    return (
      this.#ended !== undefined ||
      this.#isBehind ||
      this.#isNudged ||
      this.#pending.size + this.#bundles.size + this.#denials.length > 0
    );
  }

  #forget(): void {
    this.#pending.clear();
    this.#bundles.clear();
    this.#denials = [];
    this.#isNudged = false;
  }
}

/** SHA-256 over what an agent has: see `entries_digest` in sync.proto. */
export function digestOf(entries: Iterable<Entry>): Uint8Array {
  const lines = Array.from(
    entries,
    ({ id, revisionNumber, createdAt }) => `${id} ${revisionNumber} ${createdAt}`,
  );
  return createHash('sha256').update(lines.sort().join('\n')).digest();
}
