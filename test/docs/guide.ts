// Reads a guide: its programs and what they print. Programs import the SDK by the names it is published under.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SDK_EXPORTS, SDK_NAME } from '../../build/sdk-package.ts';
import { root } from '../support/house-rules.ts';

/** The parts of the SDK by their published names, and the files whose exports they have. */
export const SUBPATHS: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.entries(SDK_EXPORTS).map(([subpath, modules]) => [
    subpath.replace('.', SDK_NAME),
    modules.map((module) => `sdk/${module}`),
  ]),
);

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

/** The file beside the programs that has that module. */
export function fileOf(subpath: string): string {
  return `modules/${subpath.replace(/\W+/g, '-')}.ts`;
}
