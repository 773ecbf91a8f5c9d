// What goes to standard output: data, as tables for people or JSON for programs. Everything else goes to standard
// error.
import { writeSync } from 'node:fs';

/** How a command prints its data. */
export type OutputFormat = 'pretty' | 'json';

/** Prints text to standard output. */
export function print(text: string): void {
  writeAll(1, text);
}

/** Prints a line to standard error: progress, warnings, hints. Line ends in it stay. */
export function note(text: string): void {
  writeAll(2, `${text.split('\n').map(visible).join('\n')}\n`);
}

/** Prints one JSON document and a newline. */
export function printJson(value: unknown): void {
  print(`${jsonText(value)}\n`);
}

/** JSON on several lines, without the control characters that JSON lets stand and a terminal obeys. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(INVISIBLE, escapeOf);
}

// C0 with DEL and C1, which a terminal obeys; line separators; and what turns the direction of text around.
// oxlint-disable-next-line no-control-regex
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

function escapeOf(character: string): string {
  return character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Text that others chose, on one line and without anything that a terminal would obey. */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (character) => (character === '\n' ? '\\n' : escapeOf(character)));
}

// A pipe may take less than a whole document at once, or nothing for a moment.
function writeAll(descriptor: number, text: string): void {
  let rest = new TextEncoder().encode(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else if (code === 'EPIPE') return;
      else throw error;
    }
  }
}

/**
 * Lines up columns: the first row is the heading. Widths count characters; the last column is not padded. What a
 * terminal would obey is escaped.
 */
export function table(cells: readonly (readonly string[])[]): string {
  const rows = cells.map((row) => row.map(visible));
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length);
  }
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column]! + 2)))
        .join(''),
    )
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

/** `label: value` lines with the values lined up. */
export function fields(pairs: readonly (readonly [label: string, value: string])[]): string {
  const width = Math.max(...pairs.map(([label]) => label.length));
  return pairs.map(([label, value]) => `${`${label}:`.padEnd(width + 2)}${visible(value)}\n`).join('');
}

/** Seconds since 1970 as ISO text without milliseconds; `never` for 0. */
export function timeOf(seconds: bigint | number): string {
  return Number(seconds) === 0
    ? 'never'
    : new Date(Number(seconds) * 1_000).toISOString().replace('.000Z', 'Z');
}
