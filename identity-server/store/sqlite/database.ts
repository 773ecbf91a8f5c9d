// Opens the SQLite file (node:sqlite) and gives kysely the few methods that it needs.
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import type { SqliteDatabase, SqliteStatement } from 'kysely';

const BUSY = 5;
const READ_ONLY = 8;
const CORRUPT = 11;
const FULL = 13;
const CANNOT_OPEN = 14;
const NOT_A_DATABASE = 26;

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
  const { message, errcode, code } = error as { message: string; errcode?: number; code?: string };
  // Extended codes carry the primary one in their low byte.
  const primary = errcode === undefined ? undefined : errcode & 0xff;
  const advice = adviceFor(code === 'EACCES' || code === 'EROFS' ? READ_ONLY : primary);
  const problem = message.replace(/\s*\n\s*/g, ' ');
  return new Error(`the database ${file} cannot be used: ${problem}${advice === '' ? '' : `; ${advice}`}`, {
    cause: error,
  });
}

function adviceFor(code: number | undefined): string {
  switch (code) {
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

/** The subset of better-sqlite3 that kysely asks for, over node:sqlite. Statements are prepared once. */
export function kyselyDatabase(database: DatabaseSync): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>();
  return {
    close: () => database.close(),
    prepare(sql) {
      let statement = statements.get(sql);
      if (statement === undefined) {
        statement = kyselyStatement(database.prepare(sql));
        // Lists of IDs make statements of many lengths; they are not worth keeping for ever.
        if (statements.size >= 256) statements.clear();
        statements.set(sql, statement);
      }
      return statement;
    },
  };
}

function kyselyStatement(statement: StatementSync): SqliteStatement {
  const values = (parameters: readonly unknown[]) => parameters as SQLInputValue[];
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...values(parameters)),
    run: (parameters) => statement.run(...values(parameters)),
    iterate: (parameters) => statement.iterate(...values(parameters)),
  };
}
