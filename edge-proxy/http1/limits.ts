// How much of a message is read before it is refused.

/** Limits of a message head, in bytes and fields. */
export interface HeadLimits {
  /** The start line or one field line. */
  readonly line: number;
  /** The whole head. */
  readonly head: number;
  /** Field lines. */
  readonly fields: number;
}

/** Generous for people, small beside memory: 1,024 connections that all send the largest head hold 32 MB. */
export const DEFAULT_HEAD_LIMITS: HeadLimits = { line: 16_384, head: 32_768, fields: 100 };

/** Bytes of chunk extensions and chunk sizes before the data of one chunk. RFC 9112 7.1.1 asks for a limit. */
export const MAX_CHUNK_LINE = 256;
