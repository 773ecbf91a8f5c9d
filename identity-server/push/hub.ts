// All streams of this server: each step of the registry's view goes to those whom it concerns, and a stream ends when
// its agent may not be told any more.
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { trustDomainOf, type SpiffeId, type TrustDomain } from '../../sdk/spiffe-id.ts';
import type { VerifiedX509Svid } from '../../sdk/x509-svid/verify.ts';
import { checkAgent } from '../api/agent-check.ts';
import { decimalSerial, denied } from '../api/guard.ts';
import type { Registry, RegistryUpdate } from '../entry/registry.ts';
import type { Position } from '../store/store.ts';
import { DenialList, type DenialChange } from './denials.ts';
import { PushView } from './push-view.ts';
import { RecentChanges } from './recent-changes.ts';
import { Subscriber } from './subscriber.ts';

/** Options of {@link PushHub}. Durations are milliseconds. */
export interface PushHubOptions {
  readonly registry: Registry;
  readonly trustDomain: TrustDomain;
  /** Seconds. */
  readonly refreshHint: number;
  readonly now: () => number;
  /** Changes that wait for one agent before it is told everything anew. Default 1,000. */
  readonly maxPending?: number;
  /** Between two looks at what time alone ends: SVIDs and entries. Default 250. */
  readonly sweepInterval?: number;
  /**
   * How often agents are told where they stand: one to whom nothing happens for days must not name a position that the log
   * has left behind. Default a minute.
   */
  readonly nudgeInterval?: number;
}

/** Streams of one agent at once: it may open a new one before the old one is noticed to be gone. */
const STREAMS_OF_AGENT = 2;

interface Stream {
  readonly svid: VerifiedX509Svid;
  /** Decimal. */
  readonly serial: string;
  readonly path: string;
  readonly subscriber: Subscriber;
}

export class PushHub implements Disposable {
  readonly #options: PushHubOptions;
  readonly #streams = new Map<SpiffeId, Set<Stream>>();
  readonly #denials = new DenialList();
  readonly #view: PushView;
  #recent: RecentChanges;
  readonly #stop: () => void;

  constructor(options: PushHubOptions) {
    const { registry, trustDomain, refreshHint, now } = options;
    this.#options = options;
    this.#denials.reset(registry.nodes());
    this.#view = new PushView({ registry, trustDomain, refreshHint, now, denials: this.#denials });
    this.#recent = new RecentChanges(registry.position!);
    const unsubscribe = registry.subscribe((update) => this.#follow(update));
    const timer = setInterval(() => this.#sweep(), options.sweepInterval ?? 250).unref();
    let nudgedAt = 0;
    const nudges = setInterval(() => {
      const { revision } = this.#view.position;
      if (revision !== nudgedAt) this.nudge();
      nudgedAt = revision;
    }, options.nudgeInterval ?? 60_000).unref();
    this.#stop = () => {
      unsubscribe();
      clearInterval(timer);
      clearInterval(nudges);
    };
  }

  /** Streams that are open. */
  get size(): number {
    let size = 0;
    for (const streams of this.#streams.values()) size += streams.size;
    return size;
  }

  /** Opens a stream. Everything that happens from now on waits for it. Dispose of it. */
  open(svid: VerifiedX509Svid, path: string): Subscriber & Disposable {
    const { maxPending = 1_000 } = this.#options;
    const subscriber = new Subscriber({ id: svid.id, view: this.#view, maxPending });
    const stream = { svid, serial: decimalSerial(svid.serial), path, subscriber };
    const streams = this.#streams.get(svid.id) ?? new Set();
    this.#streams.set(svid.id, streams.add(stream));
    if (streams.size > STREAMS_OF_AGENT) {
      const [oldest] = streams;
      oldest!.subscriber.end(new RpcError('ABORTED', 'the agent has opened newer streams'));
      streams.delete(oldest!);
    }
    return Object.assign(subscriber, {
      [Symbol.dispose]: () => {
        streams.delete(stream);
        if (streams.size === 0 && this.#streams.get(svid.id) === streams) this.#streams.delete(svid.id);
      },
    });
  }

  /** Tells agents (default: all) where they stand: the smallest message that there is. */
  nudge(ids: Iterable<SpiffeId> = this.#streams.keys()): void {
    for (const id of ids) for (const { subscriber } of this.#streams.get(id) ?? []) subscriber.nudge();
  }

  /** IDs of entries that were written after a position; undefined: it is unknown, of another history or too old. */
  async changedSince(position: Position): Promise<ReadonlySet<string> | undefined> {
    const recent = this.#recent.after(position);
    if (recent !== undefined) return recent;
    const changes = await this.#options.registry.changesSince(position);
    return changes && new Set(changes.flatMap((change) => (change.kind === 'entry' ? [change.id] : [])));
  }

  #follow(update: RegistryUpdate): void {
    this.#view.moved();
    if (update.reset) {
      this.#recent = new RecentChanges(this.#view.position);
      this.#denials.reset(this.#options.registry.nodes());
      for (const stream of this.#all()) {
        if (!this.#expectAllowed(stream)) continue;
        this.#tell(stream, (subscriber) => subscriber.refresh());
        stream.subscriber.restart();
      }
      return;
    }
    this.#recent.add(this.#view.position, update.changes);
    for (const [id, delta] of update.deltas) {
      for (const stream of this.#streams.get(id) ?? []) this.#tell(stream, (each) => each.follow(delta));
    }
    const denials: DenialChange[] = [];
    for (const change of update.changes) {
      if (change.kind === 'bundle') this.#followBundle(change.id);
      if (change.kind !== 'node') continue;
      denials.push(...this.#denials.changed(change.id, change.value));
      for (const stream of this.#streams.get(change.id) ?? []) {
        // Its selectors may be others, and with them its aliases.
        if (this.#expectAllowed(stream)) this.#tell(stream, (subscriber) => subscriber.refresh());
      }
    }
    if (denials.length > 0) for (const { subscriber } of this.#all()) subscriber.followDenials(denials);
  }

  #followBundle(trustDomain: TrustDomain): void {
    for (const stream of this.#all()) {
      if (trustDomain === trustDomainOf(stream.svid.id) && !this.#expectAllowed(stream)) continue;
      stream.subscriber.followBundle(trustDomain);
    }
  }

  #sweep(): void {
    const seconds = Math.floor(this.#options.now() / 1_000);
    for (const stream of this.#all()) {
      if (!this.#expectAllowed(stream)) continue;
      this.#tell(stream, (subscriber) => {
        if (seconds >= subscriber.validUntil) subscriber.refresh();
      });
    }
  }

  // Ends a stream whose agent would be refused if it called now.
  #expectAllowed({ svid, serial, path, subscriber }: Stream): boolean {
    const { registry, now } = this.#options;
    const certificate = { serial, notAfter: svid.pathNotAfter };
    const verdict = checkAgent(registry.node(svid.id), certificate, now());
    if (verdict !== 'allow' && verdict !== 'activate') subscriber.end(denied(path, verdict));
    else if (!registry.bundles.isTrusted(trustDomainOf(svid.id), svid.authority)) {
      subscriber.end(
        new RpcError(
          'UNAUTHENTICATED',
          'the authority that signed the client certificate is not trusted any more',
        ),
      );
    } else return true;
    return false;
  }

  // A view that is too old tells nothing; the agent keeps what it has and asks again.
  #tell({ subscriber }: Stream, change: (subscriber: Subscriber) => void): void {
    try {
      this.#options.registry.expectFresh();
      change(subscriber);
    } catch (error) {
      subscriber.end(new RpcError('UNAVAILABLE', (error as Error).message));
    }
  }

  *#all(): Generator<Stream> {
    for (const streams of this.#streams.values()) yield* streams;
  }

  [Symbol.dispose](): void {
    this.#stop();
  }
}
