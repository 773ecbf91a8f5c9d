// The database thread as the others see it: statements in, rows out, one after the other.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** A statement for the thread. */
export interface Question {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** What it says to one. */
export type Answer =
  | { readonly kind: 'done'; readonly rows: readonly unknown[]; readonly changes: number }
  | {
      readonly kind: 'failed';
      readonly error: { readonly message: string; readonly errcode?: number; readonly code?: string };
    };

type Done = Extract<Answer, { kind: 'done' }>;

interface Waiting {
  readonly resolve: (answer: Done) => void;
  readonly reject: (error: Error) => void;
}

/** A database file that a thread has open. */
export class DatabaseThread {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #ended: Error | undefined;

  private constructor(file: string) {
    this.#worker = new Worker(new URL('worker.ts', import.meta.url), {
      workerData: { file },
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    this.#worker.on('message', (answer: Answer) => {
      const waiting = this.#waiting.shift()!;
      if (answer.kind === 'done') waiting.resolve(answer);
      else waiting.reject(errorOf(answer.error));
    });
    this.#worker.on('error', (error) => this.#end(error as Error));
    this.#worker.on('exit', () => this.#end(new Error('the database was closed')));
  }

  /**
   * Opens the file.
   *
   * @throws Error that names the file and what to do.
   */
  static async open(file: string): Promise<DatabaseThread> {
    const thread = new DatabaseThread(file);
    try {
      // It says when it has opened the file.
      await thread.#answer();
      return thread;
    } catch (error) {
      await thread.#worker.terminate();
      throw error;
    }
  }

  /** Runs a statement. */
  run(question: Question): Promise<Done> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    this.#worker.postMessage(question, []);
    return this.#answer();
  }

  /** Closes the file, after what is under way. */
  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    const exited = once(this.#worker, 'exit');
    this.#worker.postMessage('close', []);
    await exited;
  }

  #answer(): Promise<Done> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

function errorOf({ message, errcode, code }: Extract<Answer, { kind: 'failed' }>['error']): Error {
  return Object.assign(
    new Error(message),
    errcode !== undefined && { errcode },
    code !== undefined && { code },
  );
}
