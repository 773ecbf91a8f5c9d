// svid entry create
import type { MessageInitShape } from '@bufbuild/protobuf';
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { parse } from 'yaml';
import { z } from 'zod';
import {
  BatchCreateEntryResponseSchema,
  Entry as EntryService,
} from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import type { EntrySchema } from '../../sdk/api/gen/spire/api/types/entry_pb.ts';
import { durationSchema, parseConfig } from '../../daemon/config.ts';
import { parseDurationOption } from '../durations.ts';
import { localClient, serverSocket } from '../endpoints.ts';
import { CliError, cliErrorOf, ExitCode } from '../errors.ts';
import { note, print, printJson, type OutputFormat } from '../output.ts';
import { idText, jsonOf, wireId, wireSelector } from '../wire.ts';
import { entryText } from './entry.ts';

type EntryInit = MessageInitShape<typeof EntrySchema>;

interface CreateOptions {
  readonly spiffeId?: string;
  readonly parentId?: string;
  readonly selector?: string[];
  readonly entryId?: string;
  readonly x509SvidTtl?: string;
  readonly dnsName?: string[];
  readonly hint?: string;
  readonly federatesWith?: string[];
  readonly expiresAt?: string;
  readonly file?: string;
  readonly socket?: string;
  readonly output: OutputFormat;
}

const entryFileSchema = z.strictObject({
  entries: z.array(
    z.strictObject({
      entry_id: z.string().optional(),
      spiffe_id: z.string(),
      parent_id: z.string(),
      selectors: z.array(z.string()).min(1),
      x509_svid_ttl: durationSchema().optional(),
      dns_names: z.array(z.string()).default([]),
      hint: z.string().default(''),
      federates_with: z.array(z.string()).default([]),
      expires_at: z.iso.datetime().optional(),
    }),
  ),
});

export async function create(options: CreateOptions): Promise<void> {
  refuseBoth(options);
  const entries = options.file === undefined ? [entryOf(options)] : await entriesOfFile(options.file);
  const socket = serverSocket(options.socket);
  using client = localClient(socket);
  const answer = await client
    .unary(EntryService.method.batchCreateEntry, { entries })
    .catch((error: unknown) => {
      throw cliErrorOf(error, `the server at ${socket}`);
    });
  if (options.output === 'json') printJson(jsonOf(BatchCreateEntryResponseSchema, answer));
  let failed = 0;
  for (const [index, result] of answer.results.entries()) {
    if (result.status?.code === 0) {
      if (options.output === 'pretty' && result.entry !== undefined) print(`${entryText(result.entry)}\n`);
      continue;
    }
    failed++;
    const id = entries[index]?.spiffeId as { trustDomain: string; path: string } | undefined;
    note(`svid: error: ${idText(id)}: ${result.status?.message}`);
  }
  if (failed > 0) throw new CliError(`${failed} of ${entries.length} entries could not be created`);
}

// The help says that --file excludes the rest: what was typed beside it would be lost without a word.
function refuseBoth({ file, socket: _socket, output: _output, ...others }: CreateOptions): void {
  if (file !== undefined && Object.keys(others).length > 0) {
    throw new CliError('--file excludes the options that describe an entry', {
      exitCode: ExitCode.usage,
      hint: 'write them into the file, or leave --file out',
    });
  }
}

async function readEntryFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CliError(`${file}: cannot be read: ${(error as Error).message}`, { exitCode: ExitCode.usage });
  }
}

function entryOf(options: CreateOptions): EntryInit {
  const missing = (
    [
      ['--spiffe-id', options.spiffeId],
      ['--parent-id', options.parentId],
      ['--selector', options.selector],
    ] as const
  ).filter(([, value]) => value === undefined);
  if (missing.length > 0) {
    throw new CliError(`missing ${missing.map(([name]) => name).join(', ')}`, {
      exitCode: ExitCode.usage,
      hint: 'svid entry create --help shows an example',
    });
  }
  return {
    id: options.entryId ?? '',
    spiffeId: wireId(options.spiffeId!, '--spiffe-id'),
    parentId: wireId(options.parentId!, '--parent-id'),
    selectors: options.selector!.map(wireSelector),
    x509SvidTtl: seconds(options.x509SvidTtl, '--x509-svid-ttl'),
    dnsNames: options.dnsName ?? [],
    hint: options.hint ?? '',
    federatesWith: options.federatesWith ?? [],
    expiresAt: expiry(options.expiresAt),
  };
}

async function entriesOfFile(file: string): Promise<EntryInit[]> {
  const content = file === '-' ? await text(process.stdin) : await readEntryFile(file);
  // A list alone is as good as a document with `entries`.
  let bare: unknown;
  try {
    bare = parse(content);
  } catch (error) {
    const [what] = (error as Error).message.split('\n');
    throw new CliError(`${file === '-' ? 'standard input' : file}: ${what}`, { exitCode: ExitCode.usage });
  }
  const document = Array.isArray(bare) ? JSON.stringify({ entries: bare }) : content;
  return parseConfig(entryFileSchema, document, file === '-' ? 'standard input' : file).entries.map(
    (entry) => ({
      id: entry.entry_id ?? '',
      spiffeId: wireId(entry.spiffe_id, 'spiffe_id'),
      parentId: wireId(entry.parent_id, 'parent_id'),
      selectors: entry.selectors.map(wireSelector),
      x509SvidTtl: Math.floor((entry.x509_svid_ttl ?? 0) / 1_000),
      dnsNames: entry.dns_names,
      hint: entry.hint,
      federatesWith: entry.federates_with,
      expiresAt: expiry(entry.expires_at),
    }),
  );
}

function seconds(duration: string | undefined, option: string): number {
  return duration === undefined ? 0 : Math.floor(parseDurationOption(duration, option) / 1_000);
}

function expiry(time: string | undefined): bigint {
  if (time === undefined) return 0n;
  const milliseconds = Date.parse(time);
  if (Number.isNaN(milliseconds)) {
    throw new CliError(`--expires-at: ${JSON.stringify(time)} is no ISO time, such as 2027-01-31T12:00:00Z`, {
      exitCode: ExitCode.usage,
    });
  }
  return BigInt(Math.floor(milliseconds / 1_000));
}
