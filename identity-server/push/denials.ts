// Who is denied: agents that were banned, and certificates of agents that were banned or evicted since this server began,
// for as long as they would be valid. (A node that is gone from the store has left no serial there.)
import type { SpiffeId } from '../../sdk/spiffe-id.ts';
import { isBanned } from '../entry/filter.ts';
import type { AttestedNode } from '../store/store.ts';

/** A certificate that is denied; without a serial: every certificate of the ID. */
export interface Denial {
  readonly id: SpiffeId;
  /** Decimal; empty: all of them. */
  readonly serial: string;
  /** Seconds; 0: until it is lifted. */
  readonly expiresAt: number;
}

/** What became of the denials. */
export interface DenialChange {
  readonly denial: Denial;
  readonly isLifted: boolean;
}

export class DenialList {
  readonly #denials = new Map<string, Denial>();
  readonly #nodes = new Map<SpiffeId, AttestedNode>();

  /** Everybody who is denied at a time (seconds). */
  at(seconds: number): Denial[] {
    for (const [key, { expiresAt }] of this.#denials) {
      if (expiresAt !== 0 && expiresAt < seconds) this.#denials.delete(key);
    }
    return [...this.#denials.values()];
  }

  /** Begins anew with the nodes that there are; what is known of serials stays. */
  reset(nodes: Iterable<AttestedNode>): void {
    for (const [key, { serial }] of this.#denials) if (serial === '') this.#denials.delete(key);
    this.#nodes.clear();
    for (const node of nodes) this.changed(node.id, node);
  }

  /** Follows a change of a node. */
  changed(id: SpiffeId, node: AttestedNode | undefined): DenialChange[] {
    const before = this.#nodes.get(id);
    if (node === undefined) this.#nodes.delete(id);
    else this.#nodes.set(id, node);
    const changes: DenialChange[] = [];
    const isDenied = node !== undefined && isBanned(node);
    if ((node === undefined || isDenied) && before !== undefined && !isBanned(before)) {
      for (const [serial, expiresAt] of serialsOf(before))
        changes.push(this.#deny({ id, serial, expiresAt }));
    }
    if (isDenied) {
      if (!this.#denials.has(keyOf(id, ''))) changes.push(this.#deny({ id, serial: '', expiresAt: 0 }));
    } else {
      const lifted = this.#denials.get(keyOf(id, ''));
      if (lifted !== undefined) {
        this.#denials.delete(keyOf(id, ''));
        changes.push({ denial: lifted, isLifted: true });
      }
    }
    return changes;
  }

  #deny(denial: Denial): DenialChange {
    this.#denials.set(keyOf(denial.id, denial.serial), denial);
    return { denial, isLifted: false };
  }
}

function serialsOf({ serial, notAfter, newSerial, newNotAfter }: AttestedNode): [string, number][] {
  const serials: [string, number][] = [[serial, notAfter]];
  if (newSerial !== '') serials.push([newSerial, newNotAfter]);
  return serials;
}

function keyOf(id: SpiffeId, serial: string): string {
  return `${id} ${serial}`;
}
