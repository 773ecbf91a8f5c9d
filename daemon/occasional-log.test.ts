import { expect, test } from 'vitest';
import { createOccasionalLog } from './occasional-log.ts';

test('a cause is said once, and again after the interval', () => {
  let now = 0;
  const said: string[] = [];
  const say = createOccasionalLog({ interval: 10, now: () => now });
  const cause = (text: string) => say(text, () => said.push(text));
  cause('a');
  cause('a');
  now = 5;
  cause('b');
  cause('a');
  now = 10;
  cause('a');
  cause('b');
  expect(said).toEqual(['a', 'b', 'a']);
});

test('what it remembers is bounded', () => {
  let count = 0;
  const say = createOccasionalLog({ most: 2 });
  for (let cause = 0; cause < 100; cause++) say(String(cause), () => count++);
  expect(count).toBe(2);
});
