// Reads a guide: its programs and what they print. Programs import the SDK by the names it is published under.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../support/house-rules.ts';

/** The parts of the SDK by their published names. */
export const SUBPATHS: Readonly<Record<string, readonly string[]>> = {
  'sigil/workload-api': ['sdk/workload-api/x509-source.ts'],
  'sigil/tls': ['sdk/tls/index.ts'],
  'sigil/fetch': ['sdk/fetch/index.ts'],
  'sigil/hono': ['sdk/hono/index.ts'],
  'sigil/grpc': ['sdk/grpc/credentials.ts', 'sdk/grpc/credentials-server.ts'],
  'sigil/postgres': ['sdk/postgres/index.ts'],
  'sigil/mysql': ['sdk/mysql/index.ts'],
};

/** A guide's programs by file name, and what they print. */
export interface Guide {
  readonly programs: ReadonlyMap<string, string>;
  readonly outputs: ReadonlyMap<string, string>;
}

const BLOCK = /^```(ts file|text output)=(\S+)\n([\s\S]*?)^```$/gm;

/** Reads the blocks of a guide that are marked `ts file=` and `text output=`. */
export async function readGuide(path: string): Promise<Guide> {
  const [programs, outputs] = [new Map<string, string>(), new Map<string, string>()];
  for (const [, kind, name, body] of (await readFile(join(root, path), 'utf8')).matchAll(BLOCK)) {
    (kind === 'ts file' ? programs : outputs).set(name!, body!);
  }
  return { programs, outputs };
}

/** The module that stands for a published name: it exports what its parts do. */
export function moduleOf(subpath: string): string {
  const files = SUBPATHS[subpath];
  if (files === undefined) throw new Error(`the guide imports ${subpath}, which is no part of the SDK`);
  return files.map((file) => `export * from '${pathToFileURL(join(root, file)).href}';\n`).join('');
}
