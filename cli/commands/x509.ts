// svid x509 fetch | watch
import { status } from '@grpc/grpc-js';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writePrivateFile } from '../../daemon/files.ts';
import { trustDomainOf } from '../../sdk/spiffe-id.ts';
import { WorkloadApiClient } from '../../sdk/workload-api/client.ts';
import { readX509Context, type X509Context } from '../../sdk/workload-api/x509-context.ts';
import { X509Source } from '../../sdk/workload-api/x509-source.ts';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import type { X509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import { parseDurationOption } from '../durations.ts';
import { workloadApiEndpoint } from '../endpoints.ts';
import { CliError, cliErrorOf, ExitCode } from '../errors.ts';
import { fields, note, print, printJson, type OutputFormat } from '../output.ts';

interface CommonOptions {
  readonly socket?: string;
  readonly output: OutputFormat;
}

export async function fetch(options: CommonOptions & { write?: string; timeout: string }): Promise<void> {
  const endpoint = workloadApiEndpoint(options.socket);
  const context = await fetchOnce(endpoint, parseDurationOption(options.timeout, '--timeout'));
  if (options.write !== undefined) await writeFiles(options.write, context);
  if (options.output === 'json') {
    printJson({
      svids: context.svids.map((svid) => ({
        ...summaryOf(svid),
        certificates: pemOf('CERTIFICATE', svid.certificates),
      })),
      bundles: Object.fromEntries(
        [...context.bundles.values()].map((bundle) => [
          bundle.trustDomain,
          pemOf(
            'CERTIFICATE',
            bundle.authorities.map(({ der }) => der),
          ),
        ]),
      ),
    });
    return;
  }
  print(context.svids.map(svidText).join('\n'));
}

async function fetchOnce(endpoint: string, timeout: number): Promise<X509Context> {
  using client = new WorkloadApiClient(endpoint);
  try {
    for await (const message of client.fetchX509Svid(AbortSignal.timeout(timeout)))
      return readX509Context(message);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === status.PERMISSION_DENIED) {
      throw new CliError('the agent has no identity for this process', {
        exitCode: ExitCode.refused,
        hint: "the agent's log says which selectors it saw; an entry must ask for no others: svid entry list",
        cause: error,
      });
    }
    throw cliErrorOf(error, `the Workload API at ${endpoint}`);
  }
  throw new CliError(`the Workload API at ${endpoint} answered nothing`, { exitCode: ExitCode.unavailable });
}

// The key before the certificate: a reader that watches svid.pem then finds the key that belongs to it.
async function writeFiles(folder: string, { svids: [svid], bundles }: X509Context): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const authorities = bundles.get(trustDomainOf(svid.id))?.authorities ?? [];
  await writePrivateFile(join(folder, 'svid_key.pem'), pemOf('PRIVATE KEY', [svid.privateKey]));
  await writePrivateFile(
    join(folder, 'bundle.pem'),
    pemOf(
      'CERTIFICATE',
      authorities.map(({ der }) => der),
    ),
  );
  await writePrivateFile(join(folder, 'svid.pem'), pemOf('CERTIFICATE', svid.certificates));
  note(`wrote svid.pem, svid_key.pem and bundle.pem to ${folder}`);
}

export async function watch(options: CommonOptions): Promise<void> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const endpoint = workloadApiEndpoint(options.socket);
  let lastReason = '';
  const source = await X509Source.open({
    endpoint,
    signal: controller.signal,
    onEvent: (event) => {
      if (event.kind === 'updated') {
        lastReason = '';
        const { id, serial, notAfter } = event.svid;
        if (options.output === 'json') print(`${JSON.stringify(summaryOf(event.svid))}\n`);
        else
          print(
            `${new Date().toISOString()}  ${id}  serial ${serial}  until ${new Date(notAfter).toISOString()}\n`,
          );
      } else if (event.reason !== lastReason) {
        // Tried again and again: said once.
        lastReason = event.reason;
        note(`${event.kind}: ${event.reason}; trying again until Ctrl-C`);
      }
    },
  }).catch((error: unknown) => {
    if (controller.signal.aborted) return undefined;
    throw cliErrorOf(error, `the Workload API at ${endpoint}`);
  });
  if (source === undefined) return;
  await new Promise<void>((resolve) => {
    if (controller.signal.aborted) resolve();
    else controller.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await source.close();
}

function summaryOf(svid: X509Svid): Record<string, string> {
  return {
    spiffe_id: svid.id,
    serial: svid.serial,
    not_before: new Date(svid.notBefore).toISOString(),
    not_after: new Date(svid.notAfter).toISOString(),
    hint: svid.hint,
  };
}

function svidText(svid: X509Svid): string {
  return fields([
    ['SPIFFE ID', svid.id],
    ['Serial', svid.serial],
    ['Valid from', new Date(svid.notBefore).toISOString()],
    ['Valid until', new Date(svid.notAfter).toISOString()],
    ...(svid.hint === '' ? [] : [['Hint', svid.hint] as const]),
  ]);
}
