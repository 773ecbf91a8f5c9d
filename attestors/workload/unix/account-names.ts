// Names of users and groups from /etc/passwd and /etc/group. Read by ourselves, so that no name service (LDAP, a
// network) stands in the way of an attestation; an id without a line there has no name.
import { readFile, stat } from 'node:fs/promises';

/** Names by id. */
export interface AccountNames {
  user(uid: number): Promise<string | undefined>;
  group(gid: number): Promise<string | undefined>;
}

/** Options of {@link createAccountNames}. */
export interface AccountFiles {
  /** Default /etc/passwd. */
  readonly passwd?: string;
  /** Default /etc/group. */
  readonly group?: string;
}

/** Names from the two files, read again when a file changes. */
export function createAccountNames(files: AccountFiles = {}): AccountNames {
  const users = cachedFile(files.passwd ?? '/etc/passwd');
  const groups = cachedFile(files.group ?? '/etc/group');
  return {
    user: async (uid) => (await users()).get(uid),
    group: async (gid) => (await groups()).get(gid),
  };
}

/** Reads `name:password:id:...` lines, the form that both files share. The first line of an id counts, as in getpwuid. */
export function parseAccountFile(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':');
    if (name === undefined || name === '' || name.startsWith('#') || !/^\d{1,10}$/.test(id ?? '')) continue;
    if (!names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}

function cachedFile(file: string): () => Promise<ReadonlyMap<number, string>> {
  let names: ReadonlyMap<number, string> = new Map();
  let version = '';
  return async () => {
    const found = await stat(file, { bigint: true }).catch(() => undefined);
    const current =
      found === undefined ? 'absent' : `${found.ino} ${found.size} ${found.mtimeNs} ${found.ctimeNs}`;
    if (current === version) return names;
    names = found === undefined ? new Map() : parseAccountFile(await readFile(file, 'utf8'));
    version = current;
    return names;
  };
}
