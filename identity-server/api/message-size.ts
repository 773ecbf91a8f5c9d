// How large a message becomes on the wire: an estimate that is never too small, without encoding anything.

/**
 * The most bytes of an answer. A plain gRPC client takes 4 MiB; what is left is for frames around it.
 */
export const MAX_ANSWER_BYTES = 4_000_000;

// A field's tag (2 bytes for numbers beyond 15) and its length or value (10 bytes at most).
const FIELD_OVERHEAD = 12;

/** At most how many bytes a message, given as plain data, takes on the wire. */
export function sizeOf(value: unknown): number {
  switch (typeof value) {
    case 'string':
      // UTF-8 has at most three bytes for each unit of UTF-16.
      return FIELD_OVERHEAD + value.length * 3;
    case 'object': {
      if (value === null) return 0;
      if (value instanceof Uint8Array) return FIELD_OVERHEAD + value.length;
      let size = FIELD_OVERHEAD;
      if (Array.isArray(value)) for (const item of value) size += sizeOf(item);
      else
        for (const key in value)
          size += key === '$typeName' ? 0 : sizeOf((value as Record<string, unknown>)[key]);
      return size;
    }
    case 'undefined':
      return 0;
    default:
      return FIELD_OVERHEAD;
  }
}
