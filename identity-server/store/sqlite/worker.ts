// The thread that has the file open. SQLite waits for the disk: here it keeps nobody waiting.
import { parentPort, workerData } from 'node:worker_threads';
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import { openDatabase } from './database.ts';
import type { Answer, Question } from './thread.ts';

const port = parentPort!;
const { file } = workerData as { readonly file: string };

try {
  serve();
} catch (error) {
  port.postMessage({ kind: 'failed', error: plain(error) } satisfies Answer);
}

function serve(): void {
  const database = openDatabase(file);
  const statements = new Map<string, StatementSync>();
  const prepared = (sql: string) => {
    let statement = statements.get(sql);
    if (statement === undefined) {
      statement = database.prepare(sql);
      // Lists of IDs make statements of many lengths; they are not worth keeping for ever.
      if (statements.size >= 256) statements.clear();
      statements.set(sql, statement);
    }
    return statement;
  };
  const answer = ({ sql, parameters }: Question): Answer => {
    // SQLite ends a transaction by itself when its disk is full: that none is left to roll back must not hide why.
    if (sql === 'rollback' && !database.isTransaction) return { kind: 'done', rows: [], changes: 0 };
    const statement = prepared(sql);
    const values = parameters as SQLInputValue[];
    if (statement.columns().length > 0) return { kind: 'done', rows: statement.all(...values), changes: 0 };
    return { kind: 'done', rows: [], changes: Number(statement.run(...values).changes) };
  };
  port.on('message', (question: Question | 'close') => {
    if (question === 'close') {
      database.close();
      port.close();
      return;
    }
    try {
      port.postMessage(answer(question));
    } catch (error) {
      port.postMessage({ kind: 'failed', error: plain(error) } satisfies Answer);
    }
  });
  port.postMessage({ kind: 'done', rows: [], changes: 0 } satisfies Answer);
}

// Errors lose their own properties on the way between threads.
function plain(error: unknown): { message: string; errcode?: number; code?: string } {
  const { message, errcode, code } = error as { message: string; errcode?: number; code?: string };
  return { message, errcode, code };
}
