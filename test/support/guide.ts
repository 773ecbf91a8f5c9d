// Runs a guide: its `yaml file=NAME` blocks become files, its `sh` blocks commands in one folder, in order. A block marked
// `background` is a program that stays; the next block begins when its log says that it is ready.
import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runtimeCommand } from '../../cli/runtimes.ts';
import { eventually } from './eventually.ts';
import { run, temporaryFolder } from './programs.ts';

/** One block of a guide. */
export interface Block {
  readonly language: string;
  readonly attributes: string;
  readonly text: string;
}

/** The fenced blocks of a Markdown text. */
export function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^```(\w+) ?(.*)\n([\s\S]*?)^```$/gm)].map(
    ([, language, attributes, text]) => ({
      language: language!,
      attributes: attributes!,
      text: text!,
    }),
  );
}

/** A guide under way. */
export class Guide {
  readonly folder: string;
  /** The folder of the `svid` that the guide's commands find on their path. */
  readonly bin: string;
  readonly #background: ChildProcess[] = [];
  readonly #replace: (text: string) => string;
  #exports = '';

  private constructor(folder: string, bin: string, replace: (text: string) => string) {
    this.folder = folder;
    this.bin = bin;
    this.#replace = replace;
  }

  /** `replace` changes what cannot be taken literally, such as a port. */
  static async open(replace: (text: string) => string): Promise<Guide> {
    const guide = new Guide(await temporaryFolder(), await temporaryFolder(), replace);
    const [command, ...args] = runtimeCommand('node', 'cli/main.ts', []);
    const shim = join(guide.bin, 'svid');
    await writeFile(
      shim,
      `#!/bin/sh\nexec ${[command, ...args].map((part) => `'${part}'`).join(' ')} "$@"\n`,
    );
    await chmod(shim, 0o755);
    return guide;
  }

  /** Runs a block; gives what it printed. Fails with it if a command fails. */
  async step({ language, attributes, text }: Block): Promise<string> {
    const content = this.#replace(text);
    const file = /^file=(\S+)$/.exec(attributes)?.[1];
    if (file !== undefined) {
      await writeFile(join(this.folder, file), content);
      return '';
    }
    if (language !== 'sh') return '';
    if (attributes === 'background') return this.#start(content);
    const { code, stdout, stderr } = await run(['/bin/sh', '-ec', this.#script(content)]);
    if (code !== 0) throw new Error(`exit code ${code} of:\n${content}\n${stdout}${stderr}`);
    this.#exports +=
      content
        .split('\n')
        .filter((line) => line.startsWith('export '))
        .join('\n') + '\n';
    return stdout + stderr;
  }

  async close(): Promise<void> {
    for (const child of this.#background.toReversed()) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      if (child.exitCode === null) {
        child.kill('SIGTERM');
        await ended;
      }
    }
  }

  async #start(content: string): Promise<string> {
    const child = spawn('/bin/sh', ['-ec', this.#script(`exec ${content}`)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#background.push(child);
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (part: string) => (log += part));
    await eventually(
      () => {
        if (child.exitCode !== null) throw new Error(`${content} ended:\n${log}`);
        return log.includes('"msg":"ready"');
      },
      { timeout: 15_000, what: `${content} is ready` },
    );
    return log;
  }

  #script(content: string): string {
    return `cd '${this.folder}'\nPATH="${this.bin}:$PATH"\n${this.#exports}${content}`;
  }
}

/** The blocks of a file below `docs/guides`. */
export async function readGuide(name: string): Promise<Block[]> {
  return blocksOf(await readFile(join(import.meta.dirname, '../../docs/guides', name), 'utf8'));
}
