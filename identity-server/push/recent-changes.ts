// The last changes in memory: agents that come back after a short while are answered without the database.
import type { Change, Position } from '../store/store.ts';

interface Step {
  readonly position: Position;
  /** IDs of entries that were written since the step before. */
  readonly entryIds: readonly string[];
}

export class RecentChanges {
  readonly #limit: number;
  #steps: Step[];
  #kept = 0;

  /** Begins at a position; keeps about so many steps and entries. */
  constructor(position: Position, limit = 10_000) {
    this.#limit = limit;
    this.#steps = [{ position, entryIds: [] }];
  }

  add(position: Position, changes: readonly Change[]): void {
    const entryIds = changes.flatMap((change) => (change.kind === 'entry' ? [change.id] : []));
    this.#steps.push({ position, entryIds });
    this.#kept += entryIds.length + 1;
    if (this.#kept <= this.#limit) return;
    // Half at once, so that the cost of a step stays the same.
    const dropped = this.#steps.splice(0, this.#steps.length >> 1);
    this.#kept -= dropped.reduce((sum, step) => sum + step.entryIds.length + 1, 0);
  }

  /** IDs of entries that were written after a position; undefined: it is not one of those that are kept. */
  after({ epoch, revision }: Position): Set<string> | undefined {
    const at = this.#steps.findLastIndex(({ position }) => position.revision === revision);
    if (at === -1 || this.#steps[at]!.position.epoch !== epoch) return undefined;
    return new Set(this.#steps.slice(at + 1).flatMap(({ entryIds }) => entryIds));
  }
}
