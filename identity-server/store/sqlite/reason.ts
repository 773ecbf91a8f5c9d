// What SQLite's error codes mean for people. Pure.

const BUSY = 5;
const LOCKED = 6;
const READ_ONLY = 8;
const IO_ERROR = 10;
/** SQLITE_CORRUPT. */
export const CORRUPT = 11;
const FULL = 13;
const CANNOT_OPEN = 14;
const NOT_A_DATABASE = 26;

/** The primary result code of an error, or undefined if it is not SQLite's. */
export function codeOf(error: unknown): number | undefined {
  const { errcode } = (error ?? {}) as { errcode?: unknown };
  // Extended codes carry the primary one in their low byte.
  return typeof errcode === 'number' ? errcode & 0xff : undefined;
}

/** Why a database that was opened cannot work now, in words for callers; undefined for other errors. */
export function reasonOf(error: unknown): string | undefined {
  switch (codeOf(error)) {
    case BUSY:
    case LOCKED:
      return 'the database is busy; try again';
    case READ_ONLY:
    case CANNOT_OPEN:
      return 'the database cannot be written: its file or folder is read-only';
    case IO_ERROR:
      return 'the database cannot be read or written: its disk answers with errors';
    case FULL:
      return 'the database cannot be written: its disk is full';
    case CORRUPT:
    case NOT_A_DATABASE:
      return 'the database is damaged';
    default:
      return undefined;
  }
}

/** What an operator can do about a database that cannot be opened; empty if there is nothing to say. */
export function adviceOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  switch (code === 'EACCES' || code === 'EROFS' ? READ_ONLY : codeOf(error)) {
    case BUSY:
      return 'is another identity-server running with the same data_dir?';
    case READ_ONLY:
    case CANNOT_OPEN:
      return 'make the file and its folder writable for the user that runs identity-server';
    case CORRUPT:
    case NOT_A_DATABASE:
      return 'it was left as it is: restore it from a backup, or move it away to begin with an empty one';
    case FULL:
      return 'make room on the disk';
    default:
      return '';
  }
}
