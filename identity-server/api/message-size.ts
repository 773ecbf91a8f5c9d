// How large a message becomes on the wire: an estimate that is never too small, without encoding anything.
import { Buffer } from 'node:buffer';

/** The most bytes of an answer. A plain gRPC client takes 4 MiB; what is left is for frames around it. */
export const MAX_ANSWER_BYTES = 4_000_000;

// A tag of 2 bytes (numbers of fields are below 2048) and a length of 4 at most.
const LENGTH_DELIMITED = 6;
const VARINT = 2;
const SMALL = 1 << 28;

/** At most how many bytes a message, given as plain data, takes on the wire. */
export function sizeOf(value: unknown): number {
  switch (typeof value) {
    case 'string':
      return LENGTH_DELIMITED + Buffer.byteLength(value);
    case 'number':
      return VARINT + (value >= 0 && value < SMALL ? 4 : 10);
    case 'bigint':
      return VARINT + (value >= 0n && value < BigInt(SMALL) ? 4 : 10);
    case 'boolean':
      return VARINT + 1;
    case 'object':
      return value === null ? 0 : LENGTH_DELIMITED + contentOf(value);
    default:
      return 0;
  }
}

function contentOf(value: object): number {
  if (value instanceof Uint8Array) return value.length;
  let size = 0;
  // What is merely inherited, as the schema's name of a message, is not on the wire.
  for (const field of Object.values(value)) size += sizeOf(field);
  return size;
}
