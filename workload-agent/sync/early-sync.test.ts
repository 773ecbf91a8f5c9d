import { describe, expect, it } from 'vitest';
import { EarlySync } from './early-sync.ts';

describe('EarlySync', () => {
  it('is due at once, and then no more than once an interval', async () => {
    let now = 1_000;
    let woken = 0;
    const early = new EarlySync({ interval: 500, now: () => now });
    early.onRequest(() => woken++);
    expect(early.due).toBe(Infinity);
    const asked = [early.request(60_000), early.request(60_000)];
    expect(woken).toBe(2);
    expect(early.due).toBeLessThanOrEqual(now);
    early.begin()();
    await Promise.all(asked);
    expect(early.due).toBe(Infinity);
    now = 1_100;
    const later = early.request(60_000);
    expect(early.due).toBe(1_500);
    early.begin()();
    await later;
  });

  it('who asks while a sync is under way waits for the next', async () => {
    const early = new EarlySync();
    const end = early.begin();
    let told = false;
    const asked = early.request(60_000).then(() => (told = true));
    end();
    await Promise.resolve();
    expect(told).toBe(false);
    early.begin()();
    await asked;
  });

  it('nobody waits longer than its patience', async () => {
    await new EarlySync().request(1);
  });
});
