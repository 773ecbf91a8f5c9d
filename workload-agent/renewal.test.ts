import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renewalTime, retryCeiling } from './renewal.ts';

test('a certificate is renewed at half of its life, ten per cent either way', () => {
  expect(renewalTime(0, 60_000, () => 0.5)).toBeCloseTo(30_000);
  expect(renewalTime(0, 60_000, () => 0)).toBeCloseTo(27_000);
  expect(renewalTime(0, 60_000, () => 0.999_999)).toBeCloseTo(33_000, -1);
});

test('the renewal lies within the life, whatever its length', () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.nat(1e12),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (from, life, random) => {
        const at = renewalTime(from, from + life, () => random);
        expect(at).toBeGreaterThanOrEqual(from);
        expect(at).toBeLessThanOrEqual(from + life);
      },
    ),
  );
});

test('one that has expired is due at once', () => {
  expect(renewalTime(1_000, 500, Math.random)).toBe(1_000);
});

test('attempts never grow so rare that a short-lived certificate runs out between two', () => {
  expect(retryCeiling(5_000, 60_000)).toBe(6_000);
  expect(retryCeiling(5_000, 86_400_000)).toBe(240_000);
  expect(retryCeiling(60_000, 86_400_000)).toBe(480_000);
  expect(retryCeiling(5_000, 100)).toBe(1_000);
});
