// What errors of PostgreSQL and its driver mean for people. Pure.
import { messageOf } from '../../../sdk/error.ts';

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
]);
// What the driver says without a code.
const DRIVER =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|Query read timeout|timeout expired|timeout exceeded when trying to connect|The server does not support SSL|Cannot use a pool after calling end)/;

/** Why the database cannot work now, in words for callers; undefined for other errors. */
export function reasonOf(error: unknown): string | undefined {
  const { code, severity, name } = (error ?? {}) as { code?: unknown; severity?: unknown; name?: unknown };
  // One of our own transactions was ended by the server in the middle.
  if (name === 'AbortedTransactionError') return 'the database gave up the transaction; try again';
  if (typeof severity === 'string' && typeof code === 'string') return reasonOfState(code);
  if (typeof code === 'string' && NETWORK.has(code)) return 'the database cannot be reached';
  return DRIVER.test(messageOf(error)) ? 'the database cannot be reached' : undefined;
}

// SQLSTATE: two characters of class, three of detail.
function reasonOfState(state: string): string | undefined {
  switch (state) {
    case '53100':
      return 'the database cannot be written: its disk is full';
    case '25006':
      return 'the database cannot be written: it is read-only';
    case '57014':
    case '55P03':
      return 'the database is busy; try again';
  }
  switch (state.slice(0, 2)) {
    case '08':
    case '57':
      return 'the database cannot be reached';
    case '28':
      return 'the database refuses our account';
    case '25':
    case '40':
      return 'the database gave up the transaction; try again';
    case '53':
      return 'the database has no room for more connections or work';
    case '58':
    case 'XX':
      return 'the database cannot be read or written: its machine answers with errors';
    default:
      return undefined;
  }
}

/** What an operator can do about a database that cannot be opened; empty if there is nothing to say. */
export function adviceOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  if (code === 'ECONNREFUSED' || code === 'ENOENT' || code === 'ENOTFOUND') {
    return 'is it running there (database.host, database.port)?';
  }
  if (code === '28P01' || code === '28000') return 'check database.user and database.password_file';
  if (code === '3D000') return 'create it first, or set database.name';
  if (code === '42501') return 'let the user create tables in it';
  if (/does not support SSL/.test(messageOf(error))) return 'turn TLS on there, or set database.tls to "off"';
  return '';
}
