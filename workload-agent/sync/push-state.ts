// What the server has told over its stream. Parts are gathered and taken over as a whole. Pure but for the log of what
// cannot be read.
import { createHash } from 'node:crypto';
import { Buffer } from 'node:buffer';
import type { Denial, Position, WatchResponse } from '../../sdk/api/gen/sigil/sync/v1/sync_pb.ts';
import type { Bundle } from '../../sdk/api/gen/spire/api/types/bundle_pb.ts';
import type { Entry } from '../../sdk/api/gen/spire/api/types/entry_pb.ts';
import { messageOf } from '../../sdk/error.ts';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import type { WorkloadEntry } from '../svid-cache/entry.ts';
import { readEntry } from './read-entry.ts';

interface Known {
  readonly revision: bigint;
  readonly createdAt: bigint;
  /** Undefined: one that this agent cannot serve. */
  readonly entry: WorkloadEntry | undefined;
}

/** Options of {@link PushState}. */
export interface PushStateOptions {
  readonly trustDomain: TrustDomain;
  /** Told of entries that cannot be served. */
  readonly onUnreadable: (id: string, reason: string) => void;
}

export class PushState {
  readonly #options: PushStateOptions;
  readonly #known = new Map<string, Known>();
  readonly #bundles = new Map<string, Bundle>();
  readonly #denials = new Map<string, Denial>();
  #position: Position | undefined;
  #parts: WatchResponse[] = [];
  #isFirst = true;

  constructor(options: PushStateOptions) {
    this.#options = options;
  }

  /** Where this agent stands; undefined: it has nothing. */
  get position(): Position | undefined {
    return this.#position;
  }

  get entries(): ReadonlyMap<string, WorkloadEntry> {
    const entries = new Map<string, WorkloadEntry>();
    for (const [id, { entry }] of this.#known) if (entry !== undefined) entries.set(id, entry);
    return entries;
  }

  /** Bundles by trust domain, as they came. */
  get bundles(): ReadonlyMap<string, Bundle> {
    return this.#bundles;
  }

  /** Who is denied: certificates of IDs, or every certificate of an ID. */
  get denials(): readonly Denial[] {
    return [...this.#denials.values()];
  }

  /** A stream begins: what the one before left unfinished is void. */
  begin(): void {
    this.#parts = [];
    this.#isFirst = true;
  }

  /** Forgets everything: the next stream begins anew. */
  forget(): void {
    this.begin();
    this.#position = undefined;
    for (const group of [this.#known, this.#bundles, this.#denials]) group.clear();
  }

  /**
   * Takes a message. Returns whether an update is complete and was taken over.
   *
   * @throws Error if this agent does not have what the server thinks it has: it has forgotten everything then.
   */
  take(message: WatchResponse): boolean {
    if (message.snapshot) this.#parts = [];
    this.#parts.push(message);
    if (message.more) return false;
    const parts = this.#parts;
    this.#parts = [];
    if (parts[0]!.snapshot) this.forget();
    // The first update of a stream tells all bundles and denials.
    if (this.#isFirst) for (const group of [this.#bundles, this.#denials]) group.clear();
    this.#isFirst = false;
    for (const part of parts) this.#apply(part);
    const { entriesDigest, position } = message;
    if (entriesDigest.length > 0 && !Buffer.from(entriesDigest).equals(this.#digest())) {
      this.forget();
      throw new Error('this agent does not have the entries that the server thinks it has; it begins anew');
    }
    if (position !== undefined) this.#position = position;
    return true;
  }

  #apply(part: WatchResponse): void {
    for (const entry of part.entries) this.#put(entry);
    for (const id of part.removedEntryIds) this.#known.delete(id);
    for (const bundle of part.bundles) this.#bundles.set(nameOf(bundle.trustDomain), bundle);
    for (const name of part.removedTrustDomains) this.#bundles.delete(nameOf(name));
    for (const denial of part.denials) this.#denials.set(keyOf(denial), denial);
    for (const denial of part.liftedDenials) this.#denials.delete(keyOf(denial));
  }

  #put(message: Entry): void {
    const { id, revisionNumber: revision, createdAt } = message;
    let entry: WorkloadEntry | undefined;
    try {
      entry = readEntry(message, this.#options.trustDomain);
    } catch (error) {
      this.#options.onUnreadable(id, messageOf(error));
    }
    this.#known.set(id, { revision, createdAt, entry });
  }

  // As `entries_digest` in sync.proto says.
  #digest(): Buffer {
    const lines = Array.from(
      this.#known,
      ([id, { revision, createdAt }]) => `${id} ${revision} ${createdAt}`,
    );
    return createHash('sha256').update(lines.sort().join('\n')).digest();
  }
}

function nameOf(trustDomain: string): string {
  return trustDomain.replace(/^spiffe:\/\//, '');
}

function keyOf({ spiffeId, serialNumber }: Denial): string {
  return `${spiffeId} ${serialNumber}`;
}
