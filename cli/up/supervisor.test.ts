import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Supervisor } from './supervisor.ts';

const supervisor = () => new Supervisor({ logOf: () => '/dev/null', note: () => {} });

describe('a supervisor that is stopped', () => {
  it('ends a process that was still being started, and does not forget it', async () => {
    const all = supervisor();
    const child = spawn('sleep', ['60'], { stdio: ['pipe', 'ignore', 'ignore'] });
    const ended = once(child, 'exit');
    let finish!: () => void;
    const gate = new Promise<void>((resolve) => (finish = resolve));
    const starting = all.start('late', async () => {
      await gate;
      return child;
    });
    // Not expect().rejects here: on Bun it holds the event loop until the promise is settled.
    const refused = starting.catch((error: Error) => error.message);
    const stopping = all.stopAll();
    finish();
    await stopping;
    expect(await refused).toBe('late is not started: everything is being stopped');
    expect(await ended).toEqual([null, 'SIGTERM']);
    expect(all.processes()).toEqual([]);
  });

  it('starts nothing more', async () => {
    const all = supervisor();
    await all.stopAll();
    await expect(all.start('later', () => Promise.reject(new Error('was called')))).rejects.toThrow(
      'later is not started',
    );
  });
});
