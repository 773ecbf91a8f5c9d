// The `unix` workload attestor: selectors as SPIRE's, from what the kernel says of a process.
import type { Selector, WorkloadAttestor } from '../workload-attestor.ts';
import { createAccountNames, type AccountNames } from './account-names.ts';
import { createExecutableHasher, type ExecutableHasher } from './executable-hash.ts';

/** Options of {@link createUnixAttestor}. */
export interface UnixAttestorOptions {
  /** Give `unix:sha256:HEX`. Default false: hashing costs time on the first sight of each executable. */
  readonly sha256?: boolean;
  /** The largest executable that is hashed. Default 512 MiB. */
  readonly sha256MaxBytes?: number;
  readonly accountNames?: AccountNames;
  readonly hasher?: ExecutableHasher;
}

export const DEFAULT_SHA256_MAX_BYTES = 512 * 1024 * 1024;

/**
 * The attestor. A path or a hash alone is no boundary: a process may connect, hand the descriptor to another program
 * and end; and a mount namespace shows files under names of its choice. Use them beside uid or group.
 */
export function createUnixAttestor(options: UnixAttestorOptions = {}): WorkloadAttestor {
  const names = options.accountNames ?? createAccountNames();
  const hasher =
    options.sha256 === true
      ? (options.hasher ??
        createExecutableHasher({ maxBytes: options.sha256MaxBytes ?? DEFAULT_SHA256_MAX_BYTES }))
      : undefined;
  return {
    name: 'unix',
    async attest(process, signal) {
      const values = [`uid:${process.uid}`];
      const user = await names.user(process.uid);
      if (user !== undefined) values.push(`user:${user}`);
      values.push(`gid:${process.gid}`);
      const group = await names.group(process.gid);
      if (group !== undefined) values.push(`group:${group}`);
      for (const gid of process.groups) {
        values.push(`supplementary_gid:${gid}`);
        const name = await names.group(gid);
        if (name !== undefined) values.push(`supplementary_group:${name}`);
      }
      if (process.executable !== undefined) values.push(`path:${process.executable}`);
      if (hasher !== undefined) values.push(`sha256:${await hasher.hash(process.pid, signal)}`);
      return values.map((value): Selector => ({ type: 'unix', value }));
    },
  };
}
