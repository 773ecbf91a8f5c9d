import { expect, test } from 'vitest';
import { UnprovenLimit } from './unproven.ts';

test('one network takes so many, all together so many, and each is given back once', () => {
  const limit = new UnprovenLimit({ most: 3, mostPerNetwork: 2 });
  const first = limit.take('192.0.2.1');
  expect(first).toBeDefined();
  expect(limit.take('::ffff:192.0.2.1')).toBeDefined();
  expect(limit.take('192.0.2.1')).toBeUndefined();
  expect(limit.take('192.0.2.2')).toBeDefined();
  expect(limit.take('192.0.2.3')).toBeUndefined();
  first!();
  first!();
  expect(limit.take('192.0.2.3')).toBeDefined();
  expect(limit.take('192.0.2.3')).toBeUndefined();
});

test('64 bits of an IPv6 address are one network', () => {
  const pairs = [
    ['2001:db8::1', '2001:db8:0:0:ffff::2', true],
    ['2001:db8::1', '2001:db8:0:1::1', false],
    ['::1', '::2', true],
    ['fe80::1%eth0', 'fe80::2', true],
    ['1:2:3:4:5:6:7:8', '1:2:3:4::', true],
    ['1:2:3::', '1:2:3:4::', false],
  ] as const;
  for (const [left, right, same] of pairs) {
    const limit = new UnprovenLimit({ most: 9, mostPerNetwork: 1 });
    limit.take(left);
    expect(limit.take(right) === undefined, `${left} ${right}`).toBe(same);
  }
});
