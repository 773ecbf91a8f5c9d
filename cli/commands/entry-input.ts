// Entries as people write them: options of a command, or a YAML or JSON file.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { parse } from 'yaml';
import { z } from 'zod';
import type { Entry, EntryMaskSchema, EntrySchema } from '../../sdk/api/gen/spire/api/types/entry_pb.ts';
import { durationSchema, parseConfig } from '../../daemon/config.ts';
import { parseTrustDomain } from '../../sdk/spiffe-id.ts';
import { parseSecondsOption } from '../durations.ts';
import { CliError, ExitCode } from '../errors.ts';
import { fileName, readText } from '../files.ts';
import { wireId, wireSelector } from '../wire.ts';

export type EntryInit = Exclude<MessageInitShape<typeof EntrySchema>, Entry>;
export type EntryMaskInit = MessageInitShape<typeof EntryMaskSchema>;

/** Options that describe an entry. */
export interface EntryOptions {
  readonly spiffeId?: string;
  readonly parentId?: string;
  readonly node?: boolean;
  readonly selector?: string[];
  readonly x509SvidTtl?: string;
  readonly jwtSvidTtl?: string;
  readonly dnsName?: string[];
  readonly hint?: string;
  readonly federatesWith?: string[];
  readonly expiresAt?: string;
  readonly admin?: boolean;
  readonly downstream?: boolean;
  readonly storeSvid?: boolean;
  readonly x509SvidPrefetch?: boolean;
  readonly jwtSvidJti?: boolean;
}

const entrySchema = z.strictObject({
  entry_id: z.string().optional(),
  spiffe_id: z.string().optional(),
  parent_id: z.string().optional(),
  selectors: z.array(z.string()).min(1).optional(),
  x509_svid_ttl: durationSchema().optional(),
  jwt_svid_ttl: durationSchema().optional(),
  dns_names: z.array(z.string()).optional(),
  hint: z.string().optional(),
  federates_with: z.array(z.string()).optional(),
  expires_at: z.iso.datetime().optional(),
  admin: z.boolean().optional(),
  downstream: z.boolean().optional(),
  store_svid: z.boolean().optional(),
  x509_svid_prefetch: z.boolean().optional(),
  jwt_svid_jti: z.boolean().optional(),
});

const entryFileSchema = z.strictObject({ entries: z.array(entrySchema) });

/** An entry that was read, and which of its fields were given. */
export interface EntryInput {
  readonly entry: EntryInit;
  readonly given: EntryMaskInit;
  /** The two flags that share one bit of a mask. */
  readonly flags: { readonly prefetch?: boolean; readonly jti?: boolean };
}

/** An entry whose flags are those that were given, over those that it has. */
export function withFlags({ entry, flags }: EntryInput, before?: AdditionalAttributes): EntryInit {
  return {
    ...entry,
    additionalAttributes: {
      disableX509SvidPrefetch:
        flags.prefetch === undefined ? (before?.disableX509SvidPrefetch ?? false) : !flags.prefetch,
      jwtSvidIncludeJti: flags.jti ?? before?.jwtSvidIncludeJti ?? false,
    },
  };
}

type AdditionalAttributes = Entry['additionalAttributes'];

/** Reads the options of a command. */
export function entryOfOptions(options: EntryOptions): EntryInput {
  return {
    entry: {
      spiffeId: options.spiffeId === undefined ? undefined : wireId(options.spiffeId, '--spiffe-id'),
      parentId: parentOf(options),
      selectors: options.selector?.map(wireSelector) ?? [],
      x509SvidTtl: seconds(options.x509SvidTtl, '--x509-svid-ttl'),
      jwtSvidTtl: seconds(options.jwtSvidTtl, '--jwt-svid-ttl'),
      dnsNames: options.dnsName ?? [],
      hint: options.hint ?? '',
      federatesWith: options.federatesWith ?? [],
      expiresAt: expiry(options.expiresAt, '--expires-at'),
      admin: options.admin ?? false,
      downstream: options.downstream ?? false,
      storeSvid: options.storeSvid ?? false,
    },
    flags: { prefetch: options.x509SvidPrefetch, jti: options.jwtSvidJti },
    given: {
      spiffeId: options.spiffeId !== undefined,
      parentId: options.parentId !== undefined || options.node === true,
      selectors: options.selector !== undefined,
      x509SvidTtl: options.x509SvidTtl !== undefined,
      jwtSvidTtl: options.jwtSvidTtl !== undefined,
      dnsNames: options.dnsName !== undefined,
      hint: options.hint !== undefined,
      federatesWith: options.federatesWith !== undefined,
      expiresAt: options.expiresAt !== undefined,
      admin: options.admin !== undefined,
      downstream: options.downstream !== undefined,
      storeSvid: options.storeSvid !== undefined,
      additionalAttributes: options.x509SvidPrefetch !== undefined || options.jwtSvidJti !== undefined,
    },
  };
}

// A node entry gives agents another name: its parent is the server itself.
function parentOf({ parentId, node, spiffeId }: EntryOptions) {
  if (node !== true) return parentId === undefined ? undefined : wireId(parentId, '--parent-id');
  if (parentId !== undefined || spiffeId === undefined) {
    throw new CliError('--node takes --spiffe-id, and no --parent-id', { exitCode: ExitCode.usage });
  }
  const { trustDomain } = wireId(spiffeId, '--spiffe-id');
  return { trustDomain: parseTrustDomain(trustDomain), path: '/spire/server' };
}

/**
 * Reads a file with `entries`, or a list alone.
 *
 * @throws CliError or ConfigError with the place of what is wrong.
 */
export async function entriesOfFile(file: string): Promise<EntryInput[]> {
  const content = await readText(file);
  let bare: unknown;
  try {
    bare = parse(content);
  } catch (error) {
    const [what] = (error as Error).message.split('\n');
    throw new CliError(`${fileName(file)}: ${what}`, { exitCode: ExitCode.usage });
  }
  const document = Array.isArray(bare) ? JSON.stringify({ entries: bare }) : content;
  return parseConfig(entryFileSchema, document, fileName(file)).entries.map(entryOfFile);
}

function entryOfFile(entry: z.infer<typeof entrySchema>): EntryInput {
  return {
    entry: {
      id: entry.entry_id ?? '',
      spiffeId: entry.spiffe_id === undefined ? undefined : wireId(entry.spiffe_id, 'spiffe_id'),
      parentId: entry.parent_id === undefined ? undefined : wireId(entry.parent_id, 'parent_id'),
      selectors: entry.selectors?.map(wireSelector) ?? [],
      x509SvidTtl: Math.floor((entry.x509_svid_ttl ?? 0) / 1_000),
      jwtSvidTtl: Math.floor((entry.jwt_svid_ttl ?? 0) / 1_000),
      dnsNames: entry.dns_names ?? [],
      hint: entry.hint ?? '',
      federatesWith: entry.federates_with ?? [],
      expiresAt: expiry(entry.expires_at, 'expires_at'),
      admin: entry.admin ?? false,
      downstream: entry.downstream ?? false,
      storeSvid: entry.store_svid ?? false,
    },
    flags: { prefetch: entry.x509_svid_prefetch, jti: entry.jwt_svid_jti },
    given: {
      spiffeId: entry.spiffe_id !== undefined,
      parentId: entry.parent_id !== undefined,
      selectors: entry.selectors !== undefined,
      x509SvidTtl: entry.x509_svid_ttl !== undefined,
      jwtSvidTtl: entry.jwt_svid_ttl !== undefined,
      dnsNames: entry.dns_names !== undefined,
      hint: entry.hint !== undefined,
      federatesWith: entry.federates_with !== undefined,
      expiresAt: entry.expires_at !== undefined,
      admin: entry.admin !== undefined,
      downstream: entry.downstream !== undefined,
      storeSvid: entry.store_svid !== undefined,
      additionalAttributes: entry.x509_svid_prefetch !== undefined || entry.jwt_svid_jti !== undefined,
    },
  };
}

/** What was typed beside --file would be lost without a word. */
export function refuseBeside(file: string | undefined, others: object): void {
  if (file === undefined || Object.values(others).every((value) => value === undefined)) return;
  throw new CliError('--file excludes the options that describe an entry', {
    exitCode: ExitCode.usage,
    hint: 'write them into the file, or leave --file out',
  });
}

// 0s is how an update goes back to the server's default.
function seconds(duration: string | undefined, option: string): number {
  return duration === undefined || duration === '0s' ? 0 : parseSecondsOption(duration, option);
}

function expiry(time: string | undefined, option: string): bigint {
  if (time === undefined || time === 'never') return 0n;
  const milliseconds = Date.parse(time);
  if (Number.isNaN(milliseconds)) {
    throw new CliError(`${option}: ${JSON.stringify(time)} is no ISO time, such as 2027-01-31T12:00:00Z`, {
      exitCode: ExitCode.usage,
    });
  }
  return BigInt(Math.floor(milliseconds / 1_000));
}
