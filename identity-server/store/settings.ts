// Where a database server is and how to get in. Secrets come from files and stay out of messages.
import { readFile } from 'node:fs/promises';
import type { DatabaseConfig } from './database-config.ts';

/** What the drivers need. */
export interface DatabaseSettings {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly user: string;
  /** Reads the password anew, so that it can be changed while the server runs. */
  readonly password: () => Promise<string>;
  /** Undefined: no TLS. */
  readonly tls: TlsSettings | undefined;
  readonly maxConnections: number;
}

export interface TlsSettings {
  /** PEM. Undefined: the machine's own roots. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly servername: string | undefined;
}

/** What messages call a database. */
export function placeOf({ user, host, port, name }: DatabaseSettings): string {
  return host.startsWith('/') ? `${user}@${host}/${name}` : `${user}@${host}:${port}/${name}`;
}

/**
 * Reads the files that a configuration names.
 *
 * @throws Error that names the file and the key.
 */
export async function readSettings(
  config: DatabaseConfig & { readonly type: 'postgres' | 'mysql' },
): Promise<DatabaseSettings> {
  const { password_file: passwordFile } = config;
  const password = async () =>
    passwordFile === undefined ? '' : (await read(passwordFile, 'password_file')).replace(/\r?\n$/, '');
  // Now, so that a missing file is named at the start.
  await password();
  return {
    host: config.host!,
    port: config.port ?? (config.type === 'postgres' ? 5_432 : 3_306),
    name: config.name!,
    user: config.user!,
    password,
    tls: await tlsOf(config),
    maxConnections: config.max_connections,
  };
}

async function tlsOf({ host, tls }: DatabaseConfig): Promise<TlsSettings | undefined> {
  // A Unix socket leaves no machine; all else is encrypted unless it was turned off by name.
  if (tls === 'off' || host!.startsWith('/')) return undefined;
  const file = (path: string | undefined, key: string) =>
    path === undefined ? undefined : read(path, `tls.${key}`);
  return {
    ca: await file(tls?.ca_file, 'ca_file'),
    cert: await file(tls?.cert_file, 'cert_file'),
    key: await file(tls?.key_file, 'key_file'),
    servername: tls?.server_name,
  };
}

async function read(file: string, key: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new Error(`database.${key}: ${file} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}
