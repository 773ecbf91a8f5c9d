// Writes JSON with integers of any size: JSON.stringify refuses bigints.
import type { JsonValue } from './parse.ts';

/** What {@link stringifyJson} takes: JSON values, and members that are undefined and left out. */
export type Writable = JsonValue | { readonly [name: string]: Writable | undefined } | readonly Writable[];

/**
 * Writes a value as compact JSON, members in the order of the object; a bigint becomes an integer literal.
 *
 * @throws TypeError for a number that JSON cannot hold (NaN, infinities).
 */
export function stringifyJson(value: Writable): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`JSON cannot hold ${value}`);
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isArray(value)) return `[${value.map(stringifyJson).join(',')}]`;
  const members = Object.entries(value).flatMap(([name, member]) =>
    member === undefined ? [] : [`${JSON.stringify(name)}:${stringifyJson(member)}`],
  );
  return `{${members.join(',')}}`;
}

function isArray(value: object): value is readonly Writable[] {
  return Array.isArray(value);
}
