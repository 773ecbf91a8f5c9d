import { describe, expect, it } from 'vitest';
import { status } from '@grpc/grpc-js';
import { CliError, cliErrorOf, ExitCode } from './errors.ts';
import { parseDurationOption } from './durations.ts';
import { fields, table, timeOf } from './output.ts';
import { idText, wireId, wireSelector } from './wire.ts';

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
