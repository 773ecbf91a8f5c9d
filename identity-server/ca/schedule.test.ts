import { describe, expect, test } from 'vitest';
import { isPrunable, nextStep } from './schedule.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const active = { issuedAt: 0, notAfter: DAY };
const next = { issuedAt: 12 * HOUR, notAfter: 36 * HOUR };

describe('nextStep', () => {
  test.each([
    ['the first', undefined, undefined, 0, 'prepare'],
    ['the first, prepared', undefined, next, 12 * HOUR, 'activate'],
    ['fresh', active, undefined, 0, 'none'],
    ['exactly half left', active, undefined, 12 * HOUR, 'none'],
    ['less than half left', active, undefined, 12 * HOUR + 1, 'prepare'],
    ['prepared, waiting', active, next, 13 * HOUR, 'none'],
    ['exactly a sixth left', active, next, 20 * HOUR, 'none'],
    ['less than a sixth left', active, next, 20 * HOUR + 1, 'activate'],
    ['less than a sixth left, none prepared', active, undefined, 20 * HOUR + 1, 'prepare'],
    ['expired after a long stop', active, undefined, 10 * DAY, 'prepare'],
    ['expired, and what was prepared, too', active, next, 10 * DAY, 'prepare'],
    ['the clock was set back', active, undefined, -DAY, 'none'],
  ])('%s', (_name, active, next, now, step) => {
    expect(nextStep(active, next, now)).toBe(step);
  });

  test('long lives are capped: 30 days to prepare, 7 to activate', () => {
    const long = { issuedAt: 0, notAfter: 365 * DAY };
    const follower = { issuedAt: 335 * DAY, notAfter: 700 * DAY };
    expect(nextStep(long, undefined, 334 * DAY)).toBe('none');
    expect(nextStep(long, undefined, 336 * DAY)).toBe('prepare');
    expect(nextStep(long, follower, 357 * DAY)).toBe('none');
    expect(nextStep(long, follower, 359 * DAY)).toBe('activate');
  });
});

test('isPrunable: a day after expiry', () => {
  expect(isPrunable(active, 2 * DAY)).toBe(false);
  expect(isPrunable(active, 2 * DAY + 1)).toBe(true);
});
