// Messages that a hostile or broken client might send: of the right shape with odd values, and bytes of no shape at all.
import {
  create,
  ScalarType,
  toBinary,
  type DescField,
  type DescMessage,
  type Message,
} from '@bufbuild/protobuf';
import { Buffer } from 'node:buffer';

/** Random numbers in [0, 1), by a seed: a failure can be repeated. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Values that are worth trying, by type. */
export interface Dictionary {
  readonly texts: readonly string[];
  readonly bytes: readonly Uint8Array[];
}

const NUMBERS = [0, 1, -1, 2, 300, 2 ** 31 - 1, -(2 ** 31), 1_700_000_000];
const LONGS = [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 253_402_300_800n];
const MAX_DEPTH = 6;

/** Makes messages. */
export class MessageMaker {
  readonly #random: () => number;
  readonly #dictionary: Dictionary;

  constructor(random: () => number, dictionary: Dictionary) {
    this.#random = random;
    this.#dictionary = dictionary;
  }

  /** A message of a type, encoded: as it should be, or with bytes changed, cut, doubled or added. */
  encoded(schema: DescMessage): Buffer {
    if (this.#random() < 0.05) return this.#noise(this.#below(300));
    const bytes = Buffer.from(toBinary(schema, this.#message(schema, 0)));
    return this.#random() < 0.5 ? bytes : this.#mutated(bytes);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)]!;
  }

  #message(schema: DescMessage, depth: number): Message {
    const fields: Record<string, unknown> = {};
    const oneofs = new Map(
      schema.oneofs.map((oneof) => [oneof.localName, this.pick(oneof.fields).localName]),
    );
    for (const field of schema.fields) {
      if (this.#random() < 0.15) continue;
      if (field.oneof !== undefined) {
        if (oneofs.get(field.oneof.localName) !== field.localName) continue;
        fields[field.oneof.localName] = { case: field.localName, value: this.#value(field, depth) };
      } else fields[field.localName] = this.#value(field, depth);
    }
    return create(schema, fields as never);
  }

  #value(field: DescField, depth: number): unknown {
    if (field.fieldKind === 'list') {
      const count = this.#random() < 0.05 ? 40 : this.#below(4);
      return Array.from({ length: count }, () => this.#single(field, depth));
    }
    return field.fieldKind === 'map' ? {} : this.#single(field, depth);
  }

  #single(field: DescField, depth: number): unknown {
    if (field.message !== undefined) {
      return depth >= MAX_DEPTH ? undefined : this.#message(field.message, depth + 1);
    }
    if (field.enum !== undefined) return this.#random() < 0.9 ? this.#below(4) : this.pick(NUMBERS);
    switch (field.scalar) {
      case ScalarType.STRING:
        return this.#random() < 0.9 ? this.pick(this.#dictionary.texts) : 'x'.repeat(this.#below(5_000));
      case ScalarType.BYTES:
        return this.#random() < 0.8 ? this.pick(this.#dictionary.bytes) : this.#noise(this.#below(600));
      case ScalarType.BOOL:
        return this.#random() < 0.5;
      case ScalarType.INT64:
        return this.pick(LONGS);
      case ScalarType.UINT64:
        return BigInt.asUintN(64, this.pick(LONGS));
      default:
        return this.pick(NUMBERS);
    }
  }

  #mutated(bytes: Buffer): Buffer {
    const at = this.#below(bytes.length + 1);
    switch (this.#below(5)) {
      case 0:
        return bytes.subarray(0, at);
      case 1:
        return Buffer.concat([bytes.subarray(0, at), this.#noise(1 + this.#below(8)), bytes.subarray(at)]);
      case 2:
        return Buffer.concat([bytes, bytes.subarray(at)]);
      default: {
        const changed = Buffer.from(bytes);
        for (let flips = 1 + this.#below(4); flips > 0 && changed.length > 0; flips--) {
          const place = this.#below(changed.length);
          changed[place] = changed[place]! ^ (1 << this.#below(8));
        }
        return changed;
      }
    }
  }

  #noise(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#below(256)));
  }

  #below(end: number): number {
    return Math.floor(this.#random() * end);
  }
}
