// Opens the SQLite file (node:sqlite).
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { messageOf } from '../../../sdk/error.ts';
import { adviceOf, CORRUPT } from './reason.ts';

/**
 * Opens or makes the file. The lock is exclusive: the index in memory is right only while nobody else writes.
 *
 * @throws Error that names the file and what to do; the file is not touched then.
 */
export function openDatabase(file: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    // SQLite gives its other files the mode of this one.
    closeSync(openSync(file, 'a', 0o600));
    database = new DatabaseSync(file);
    database.exec('PRAGMA busy_timeout = 2000');
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    database.exec('PRAGMA journal_mode = WAL');
    // FULL: what was acknowledged survives a power cut.
    database.exec('PRAGMA synchronous = FULL');
    database.exec('PRAGMA foreign_keys = ON');
    // 64 MiB, as they are used: a change finds its pages at hand however many entries there are.
    database.exec('PRAGMA cache_size = -65536');
    // Takes the lock now, and not at the first request.
    database.exec('BEGIN IMMEDIATE; COMMIT');
    const [check] = database.prepare('PRAGMA quick_check(1)').all();
    if (check?.quick_check !== 'ok') {
      throw Object.assign(new Error(String(check?.quick_check)), { errcode: CORRUPT });
    }
    return database;
  } catch (error) {
    try {
      database?.close();
    } catch {
      // What went wrong first is what the operator needs to hear.
    }
    throw databaseError(file, error);
  }
}

/** Says which file, what is wrong with it and what to do. */
export function databaseError(file: string, error: unknown): Error {
  const problem = messageOf(error).replace(/\s*\n\s*/g, ' ');
  const advice = adviceOf(error);
  return new Error(`the database ${file} cannot be used: ${problem}${advice === '' ? '' : `; ${advice}`}`, {
    cause: error,
  });
}
