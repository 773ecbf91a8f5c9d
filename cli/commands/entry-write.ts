// svid entry create | update | delete
import {
  BatchCreateEntryResponseSchema,
  BatchDeleteEntryResponseSchema,
  BatchUpdateEntryResponseSchema,
  Entry as EntryService,
} from '../../sdk/api/gen/spire/api/server/entry/v1/entry_pb.ts';
import type { GrpcClient } from '../../sdk/grpc/client.ts';
import { z } from 'zod';
import { parseConfig } from '../../daemon/config.ts';
import { CliError, ExitCode } from '../errors.ts';
import { fileName, readText } from '../files.ts';
import { note, print, printJson } from '../output.ts';
import { expectAllWell, withServer, type ServerOptions } from '../server-call.ts';
import { idText, jsonOf, type WireId } from '../wire.ts';
import {
  entriesOfFile,
  entryOfOptions,
  refuseBeside,
  withFlags,
  type EntryInit,
  type EntryInput,
  type EntryOptions,
} from './entry-input.ts';
import { entryText } from './entry.ts';

type FileOption = { readonly file?: string };

export async function create(
  options: ServerOptions & EntryOptions & FileOption & { entryId?: string },
): Promise<void> {
  const { socket: _socket, output, file, entryId, ...described } = options;
  refuseBeside(file, { entryId, ...described });
  const inputs = file === undefined ? [entryOfOptions(described)] : await entriesOfFile(file);
  for (const [index, { entry, given }] of inputs.entries()) {
    expectWhole(given, file === undefined ? '' : `entry ${index + 1} of ${fileName(file)}: `);
    if (entryId !== undefined) entry.id = entryId;
  }
  const entries = inputs.map((input) => withFlags(input));
  const answer = await withServer(options, (client) =>
    client.unary(EntryService.method.batchCreateEntry, { entries }),
  );
  if (output === 'json') printJson(jsonOf(BatchCreateEntryResponseSchema, answer));
  for (const { status, entry } of answer.results) {
    if (output === 'pretty' && status?.code === 0 && entry !== undefined) print(`${entryText(entry)}\n`);
  }
  expectAllWell(answer.results, (index) => nameOf(inputs[index]!), 'entries could not be created');
}

function expectWhole({ spiffeId, parentId, selectors }: EntryInput['given'], where: string): void {
  const missing = [
    ...(spiffeId === true ? [] : ['--spiffe-id']),
    ...(parentId === true ? [] : ['--parent-id']),
    ...(selectors === true ? [] : ['--selector']),
  ];
  if (missing.length === 0) return;
  const names = where === '' ? missing : missing.map((name) => FILE_NAMES[name]!);
  throw new CliError(`${where}missing ${names.join(', ')}`, {
    exitCode: ExitCode.usage,
    hint: 'svid entry create --help shows an example',
  });
}

const FILE_NAMES: Readonly<Record<string, string>> = {
  '--spiffe-id': 'spiffe_id',
  '--parent-id': 'parent_id',
  '--selector': 'selectors',
};

export async function update(
  id: string | undefined,
  options: ServerOptions & EntryOptions & FileOption,
): Promise<void> {
  const { socket: _socket, output, file, ...described } = options;
  refuseBeside(file, { id, ...described });
  const inputs = file === undefined ? [entryOfOptions(described)] : await entriesOfFile(file);
  if (file === undefined) {
    if (id === undefined)
      throw new CliError('which entry? Name its ID, or give --file', { exitCode: ExitCode.usage });
    inputs[0]!.entry.id = id;
  }
  if (inputs.some(({ entry }) => entry.id === undefined || entry.id === '')) {
    throw new CliError(`${fileName(file ?? '')}: every entry needs its entry_id`, {
      exitCode: ExitCode.usage,
    });
  }
  if (inputs.some(({ given }) => Object.values(given).every((named) => named !== true))) {
    throw new CliError('nothing to change was named', { exitCode: ExitCode.usage });
  }
  // What is not named stays. Each entry has fields of its own, and a call has one mask: one call an entry.
  const results = await withServer(options, async (client) => {
    const answers = [];
    for (const input of inputs) {
      const { given: inputMask } = input;
      const entry = await mergedEntry(client, input);
      const { results } = await client.unary(EntryService.method.batchUpdateEntry, {
        entries: [entry],
        inputMask,
      });
      answers.push(...results);
    }
    return answers;
  });
  if (output === 'json') printJson(jsonOf(BatchUpdateEntryResponseSchema, { results }));
  for (const { status, entry } of results) {
    if (output === 'pretty' && status?.code === 0 && entry !== undefined) print(`${entryText(entry)}\n`);
  }
  expectAllWell(results, (index) => inputs[index]!.entry.id!, 'entries could not be updated');
}

// Two flags share one bit of the mask: the one that was not named must stay, too.
async function mergedEntry(client: GrpcClient, input: EntryInput): Promise<EntryInit> {
  if (input.given.additionalAttributes !== true) return input.entry;
  const request = { id: input.entry.id, outputMask: { additionalAttributes: true } };
  const before = await client.unary(EntryService.method.getEntry, request);
  return withFlags(input, before.additionalAttributes);
}

const idsSchema = z.strictObject({ ids: z.array(z.string().min(1)) });

export async function remove(args: string[], options: ServerOptions & FileOption): Promise<void> {
  const { file } = options;
  if ((file === undefined) === (args.length === 0)) {
    throw new CliError('name entry IDs, or a file with them', { exitCode: ExitCode.usage });
  }
  const ids = file === undefined ? args : parseConfig(idsSchema, await readText(file), fileName(file)).ids;
  const answer = await withServer(options, (client) =>
    client.unary(EntryService.method.batchDeleteEntry, { ids }),
  );
  if (options.output === 'json') printJson(jsonOf(BatchDeleteEntryResponseSchema, answer));
  for (const { id, status } of answer.results) if (status?.code === 0) note(`deleted ${id}`);
  expectAllWell(answer.results, (index) => answer.results[index]!.id, 'entries could not be deleted');
}

function nameOf({ entry }: EntryInput): string {
  return idText(entry.spiffeId as WireId | undefined);
}
