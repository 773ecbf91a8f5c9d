// What streams read: the registry's view, and parts of messages that many of them share.
import type { WatchResponse } from '../../sdk/api/gen/sigil/sync/v1/sync_pb.ts';
import type { SpiffeId, TrustDomain } from '../../sdk/spiffe-id.ts';
import type { Registry } from '../entry/registry.ts';
import type { Bundle, Entry, Position } from '../store/store.ts';
import type { Denial, DenialList } from './denials.ts';
import { endPart, entryPart, messageOf, type Part } from './encode.ts';

/** Options of {@link PushView}. */
export interface PushViewOptions {
  readonly trustDomain: TrustDomain;
  readonly registry: Registry;
  readonly denials: DenialList;
  /** Seconds. */
  readonly refreshHint: number;
  readonly now: () => number;
}

export class PushView {
  readonly #options: PushViewOptions;
  // Of this position alone: what many agents are told at once.
  readonly #parts = new Map<string, { readonly entry: Entry | undefined; readonly part: Part }>();
  readonly #messages = new Map<Part, WatchResponse>();
  #position: Position;
  #end: Part;
  #standing: WatchResponse | undefined;

  constructor(options: PushViewOptions) {
    this.#options = options;
    this.#position = options.registry.position!;
    this.#end = endPart(this.#position);
  }

  /** The view has moved. */
  moved(): void {
    this.#position = this.#options.registry.position!;
    this.#end = endPart(this.#position);
    this.#parts.clear();
    this.#messages.clear();
    this.#standing = undefined;
  }

  /** The message that tells the position and nothing else. */
  get standing(): WatchResponse {
    this.#standing ??= messageOf(this.#end);
    return this.#standing;
  }

  get position(): Position {
    return this.#position;
  }

  get trustDomain(): TrustDomain {
    return this.#options.trustDomain;
  }

  entriesOf(id: SpiffeId): ReadonlyMap<string, Entry> {
    return this.#options.registry.authorizedEntries(id);
  }

  validUntil(id: SpiffeId): number {
    return this.#options.registry.entriesValidUntil(id) ?? Infinity;
  }

  bundle(trustDomain: TrustDomain): Bundle | undefined {
    const { registry, refreshHint } = this.#options;
    const bundle = registry.bundles.bundle(trustDomain);
    return bundle !== undefined && trustDomain === this.trustDomain ? { ...bundle, refreshHint } : bundle;
  }

  denials(): Denial[] {
    return this.#options.denials.at(Math.floor(this.#options.now() / 1_000));
  }

  /** The part that tells an entry. */
  part(id: string, entry: Entry | undefined): Part {
    const known = this.#parts.get(id);
    if (known !== undefined && known.entry === entry) return known.part;
    const part = entryPart(id, entry);
    // A snapshot of a large agent must not fill the memory with what nobody else will ask for.
    if (this.#parts.size < MAX_SHARED) this.#parts.set(id, { entry, part });
    return part;
  }

  /** The message that tells one entry and nothing else. */
  shared(id: string, entry: Entry | undefined): WatchResponse {
    const part = this.part(id, entry);
    let message = this.#messages.get(part);
    if (message === undefined) {
      message = messageOf(part, this.#end);
      if (this.#messages.size < MAX_SHARED) this.#messages.set(part, message);
    }
    return message;
  }
}

const MAX_SHARED = 2_000;
