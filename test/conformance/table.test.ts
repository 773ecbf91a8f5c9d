import { describe, expect, it } from 'vitest';
import { REQUIREMENTS, VECTORS } from './requirements.ts';
import { byId, idsOf, verdictOf, type TestResult } from './table.ts';

const test = (title: string, passed = true): TestResult => ({ title, passed });
const none = { notApplicable: new Map<string, string>(), open: new Map<string, string>() };
const judge = (results: readonly TestResult[], exceptions = none) =>
  verdictOf('ID-01', byId(results), exceptions);

describe('the table of conformance', () => {
  it('reads the ids that a name begins with, and no others', () => {
    expect(idsOf('X509-28, X01, C-05, E06b: some X509-29: text')).toEqual(['X509-28', 'X01', 'C-05', 'E06b']);
    for (const title of ['about ID-01: x', 'ID-01 without colon', 'openssl verify: ok', ''])
      expect(idsOf(title)).toEqual([]);
  });

  it('takes a failure for a failure, and no test for one too', () => {
    expect(judge([test('ID-01: a'), test('ID-01, ID-02: b')])).toMatchObject({
      status: 'pass',
      reason: '2 tests',
    });
    expect(judge([test('ID-01: a'), test('ID-01: b', false)])).toMatchObject({ status: 'fail' });
    expect(judge([test('ID-02: a')])).toMatchObject({ status: 'fail', reason: 'no test' });
  });

  it('counts what a later issue builds as open, unless its tests fail', () => {
    const open = { ...none, open: new Map([['ID-01', '#9 later']]) };
    expect(judge([], open)).toMatchObject({ status: 'open', reason: '#9 later' });
    expect(judge([test('ID-01: a')], open).reason).toBe("#9 later; the library's part passes");
    expect(judge([test('ID-01: a', false)], open).status).toBe('fail');
    const moot = { ...none, notApplicable: new Map([['ID-01', 'because']]) };
    expect(judge([], moot)).toMatchObject({ status: 'not applicable', reason: 'because' });
  });

  it('lists each id once', () => {
    const ids = [...REQUIREMENTS.map(({ id }) => id), ...VECTORS.flatMap(([, vectors]) => vectors)];
    expect(new Set(ids).size).toBe(ids.length);
    expect(REQUIREMENTS).toHaveLength(273);
  });
});
