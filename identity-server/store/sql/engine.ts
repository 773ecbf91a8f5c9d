// What differs between the databases. All else is written once, over kysely.
import type { ColumnDataType, Expression, IsolationLevel, Kysely, Transaction } from 'kysely';
import type { Tables } from './tables.ts';

/** The type of a column, as kysely's schema builder takes it. */
export type ColumnType = ColumnDataType | Expression<unknown>;

/** How a database calls the kinds of columns that we use. */
export interface ColumnTypes {
  /** A name of our own making: ASCII, at most 255 characters, compared byte by byte. */
  readonly name: ColumnType;
  /** A SPIFFE ID: ASCII, at most 2,048 characters, compared byte by byte. */
  readonly spiffeId: ColumnType;
  /** Any text. */
  readonly text: ColumnType;
  /** An integer that a number holds exactly. */
  readonly integer: ColumnType;
  readonly bytes: ColumnType;
}

/** One kind of database, opened. */
export interface Engine {
  readonly database: Kysely<Tables>;
  readonly types: ColumnTypes;
  /** How transactions are kept apart; undefined where there is only ever one at a time. */
  readonly isolation?: { readonly read: IsolationLevel; readonly write: IsolationLevel };
  /** The most rows that one statement writes: making it must not hold the event loop for long. */
  readonly rowsAtOnce: number;
  /** Takes the row that every write takes first, so that writes of all servers follow one another. */
  lock(transaction: Transaction<Tables>): Promise<Tables['state']>;
  /** Tells other servers, once the transaction commits. */
  announce?(transaction: Transaction<Tables>): Promise<void>;
  /** Calls back whenever another server may have committed. */
  listen?(wake: () => void): void;
  /** What an error of the driver means: a StoreUnavailableError, or the error itself. */
  explain(error: unknown): unknown;
  close(): Promise<void>;
}
