// What errors of MySQL, MariaDB and their driver mean for people. Pure.

/** Why the database cannot work now, in words for callers; undefined for other errors. */
export function reasonOf(error: unknown): string | undefined {
  const { code, fatal } = (error ?? {}) as { code?: unknown; fatal?: unknown };
  switch (code) {
    case 'ECONNREFUSED':
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'PROTOCOL_CONNECTION_LOST':
    case 'PROTOCOL_SEQUENCE_TIMEOUT':
    case 'ER_SERVER_SHUTDOWN':
    case 'ER_CONNECTION_KILLED':
      return 'the database cannot be reached';
    case 'ER_LOCK_WAIT_TIMEOUT':
    case 'ER_LOCK_DEADLOCK':
    case 'ER_QUERY_INTERRUPTED':
    case 'ER_CON_COUNT_ERROR':
      return 'the database is busy; try again';
    case 'ER_OPTION_PREVENTS_STATEMENT':
    case 'ER_READ_ONLY_MODE':
      return 'the database cannot be written: it is read-only';
    case 'ER_DISK_FULL':
    case 'ER_RECORD_FILE_FULL':
      return 'the database cannot be written: its disk is full';
    case 'ER_ACCESS_DENIED_ERROR':
      return 'the database refuses our account';
  }
  return fatal === true ? 'the database cannot be reached' : undefined;
}

/** What an operator can do about a database that cannot be opened; empty if there is nothing to say. */
export function adviceOf(error: unknown): string {
  switch (((error ?? {}) as { code?: unknown }).code) {
    case 'ECONNREFUSED':
    case 'ENOTFOUND':
      return 'is it running there (database.host, database.port)?';
    case 'ER_ACCESS_DENIED_ERROR':
      return 'check database.user and database.password_file';
    case 'ER_BAD_DB_ERROR':
      return 'create it first, or set database.name';
    case 'ER_DBACCESS_DENIED_ERROR':
      return 'give the user all rights in it';
    case 'HANDSHAKE_NO_SSL_SUPPORT':
      return 'turn TLS on there, or set database.tls to "off"';
    default:
      return '';
  }
}
