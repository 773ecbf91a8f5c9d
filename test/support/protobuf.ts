// Protocol buffers by hand: messages as numbers of fields, so that a test of the wire depends on nothing generated.
import { Buffer } from 'node:buffer';

/** What a field may hold: a number of any width, text, bytes, a message, or several of these. */
export type Value = number | bigint | boolean | string | Uint8Array | Message | readonly Value[];

/** A message by the numbers of its fields. */
export interface Message {
  readonly [field: number]: Value | undefined;
}

const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** Writes a message. */
export function encode(message: Message): Buffer {
  const parts: Buffer[] = [];
  for (const [field, value] of Object.entries(message)) {
    const values = Array.isArray(value) ? (value as readonly Value[]) : [value];
    for (const item of values) if (item !== undefined) parts.push(encodeField(Number(field), item as Value));
  }
  return Buffer.concat(parts);
}

function encodeField(field: number, value: Value): Buffer {
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') {
    return Buffer.concat([varint(BigInt(field << 3) | BigInt(VARINT)), varint(BigInt(value))]);
  }
  const bytes =
    typeof value === 'string'
      ? Buffer.from(value)
      : value instanceof Uint8Array
        ? Buffer.from(value)
        : encode(value);
  return Buffer.concat([
    varint(BigInt((field << 3) | LENGTH_DELIMITED)),
    varint(BigInt(bytes.length)),
    bytes,
  ]);
}

// Negative numbers take ten bytes, as two's complement of 64 bits.
function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** A message that was read. */
export class Fields {
  readonly #values: ReadonlyMap<number, readonly (bigint | Buffer)[]>;

  constructor(values: ReadonlyMap<number, readonly (bigint | Buffer)[]>) {
    this.#values = values;
  }

  /** The numbers of the fields that are there, in order. */
  get numbers(): number[] {
    return [...this.#values.keys()].sort((left, right) => left - right);
  }

  /** A number; 0 if it is absent, as proto3 has it. */
  number(field: number): bigint {
    return (this.#values.get(field)?.at(-1) as bigint | undefined) ?? 0n;
  }

  bytes(field: number): Buffer {
    return (this.#values.get(field)?.at(-1) as Buffer | undefined) ?? Buffer.alloc(0);
  }

  text(field: number): string {
    return this.bytes(field).toString();
  }

  texts(field: number): string[] {
    return this.all(field).map(String);
  }

  /** Every value of a repeated field of bytes or text. */
  all(field: number): Buffer[] {
    return [...((this.#values.get(field) as readonly Buffer[] | undefined) ?? [])];
  }

  message(field: number): Fields {
    return decode(this.bytes(field));
  }

  messages(field: number): Fields[] {
    return this.all(field).map(decode);
  }
}

/** Reads a message. */
export function decode(bytes: Uint8Array): Fields {
  const buffer = Buffer.from(bytes);
  const values = new Map<number, (bigint | Buffer)[]>();
  let at = 0;
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = buffer[at++];
      if (byte === undefined || shift > 63n) throw new Error('the varint has no end');
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < buffer.length) {
    const tag = Number(readVarint());
    const [field, type] = [tag >> 3, tag & 7];
    let value: bigint | Buffer;
    if (type === VARINT) value = readVarint();
    else {
      const length = type === FIXED64 ? 8 : type === FIXED32 ? 4 : Number(readVarint());
      if (at + length > buffer.length) throw new Error(`field ${field} is cut off`);
      value = buffer.subarray(at, (at += length));
    }
    values.set(field, [...(values.get(field) ?? []), value]);
  }
  return new Fields(values);
}
