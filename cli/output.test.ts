import { describe, expect, it } from 'vitest';
import { status } from '@grpc/grpc-js';
import { CliError, cliErrorOf, ExitCode } from './errors.ts';
import { parseDurationOption, parseSecondsOption } from './durations.ts';
import { fields, jsonText, table, timeOf, visible } from './output.ts';
import { idText, wireId, wireSelector } from './wire.ts';

describe('text that others chose', () => {
  const hostile = 'a\u001b[31m\u009b2J\n\u202eb\u0007';
  const shown = 'a\\u001b[31m\\u009b2J\\n\\u202eb\\u0007';

  it('cannot make a terminal obey, or begin a line of its own', () => {
    expect(visible(hostile)).toBe(shown);
    expect(visible('grün 日本 a\\b')).toBe('grün 日本 a\\b');
    expect(table([['A'], [hostile]])).toBe(`A\n${shown}\n`);
    expect(fields([['A', hostile]])).toBe(`A: ${shown}\n`);
  });

  it('is JSON all the same', () => {
    const text = jsonText({ hint: hostile });
    expect(JSON.parse(text)).toEqual({ hint: hostile });
    expect(text.split('\n')).toHaveLength(3);
    expect(text).not.toMatch(/[\u007f-\u009f\u202e]/);
  });
});

describe('tables', () => {
  it('line up, and have no blanks at the ends of lines', () => {
    const text = table([
      ['A', 'LONG', 'C'],
      ['longer', 'x', ''],
    ]);
    expect(text).toBe('A       LONG  C\nlonger  x\n');
  });

  it('line up values', () => {
    expect(
      fields([
        ['A', '1'],
        ['Long', '2'],
      ]),
    ).toBe('A:    1\nLong: 2\n');
  });

  it('show times', () => {
    expect(timeOf(0n)).toBe('never');
    expect(timeOf(1_800_000_000n)).toBe('2027-01-15T08:00:00Z');
  });
});

describe('what people type', () => {
  it('IDs, selectors and durations', () => {
    expect(wireId('spiffe://example.org/a', '--spiffe-id')).toEqual({
      trustDomain: 'example.org',
      path: '/a',
    });
    expect(idText(undefined)).toBe('(none)');
    expect(wireSelector('unix:path:/usr/bin/x')).toEqual({ type: 'unix', value: 'path:/usr/bin/x' });
    expect(parseDurationOption('1m30s', '--ttl')).toBe(90_000);
  });

  it('is refused with the name of the option and exit code 2', () => {
    const refused: (() => unknown)[] = [
      () => wireId('example.org/a', '--spiffe-id'),
      () => wireSelector('unix'),
      () => wireSelector(':x'),
      () => wireSelector('x:'),
      () => parseDurationOption('90', '--ttl'),
      () => parseSecondsOption('0s', '--ttl'),
      () => parseSecondsOption('999999d', '--ttl'),
    ];
    for (const call of refused) expect(call).toThrow(expect.objectContaining({ exitCode: ExitCode.usage }));
  });
});

describe('exit codes', () => {
  const grpcError = (code: number) => Object.assign(new Error(`${code} X: text`), { code, details: 'text' });

  it('follow the status of a call', () => {
    const codes = (
      [
        [status.NOT_FOUND, ExitCode.notFound],
        [status.PERMISSION_DENIED, ExitCode.refused],
        [status.INVALID_ARGUMENT, ExitCode.usage],
        [status.UNAVAILABLE, ExitCode.unavailable],
        [status.INTERNAL, ExitCode.failure],
      ] as const
    ).map(([code, expected]) => [cliErrorOf(grpcError(code), 'the server').exitCode, expected]);
    for (const [actual, expected] of codes) expect(actual).toBe(expected);
    expect(cliErrorOf(grpcError(status.NOT_FOUND), 'entry x').message).toBe('entry x: text');
  });

  it('keep an error that is meant for people as it is', () => {
    const error = new CliError('a', { hint: 'b' });
    expect(cliErrorOf(error)).toBe(error);
  });
});
