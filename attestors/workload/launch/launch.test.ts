import { afterAll, describe, expect, test } from 'vitest';
import { observed, processes, testWorkloadAttestor } from '../contract.ts';
import type { WorkloadProcess } from '../workload-attestor.ts';
import { createLaunchAttestor } from './attestor.ts';
import { LAUNCH_NAME, LaunchRegistry } from './registry.ts';

const children = processes();
afterAll(() => children.end());
const signal = new AbortController().signal;

const namesOf = async (registry: LaunchRegistry, process: WorkloadProcess) =>
  (await createLaunchAttestor(registry).attest(process, signal)).map(({ value }) => value);

testWorkloadAttestor({
  name: 'launch',
  create(known) {
    const registry = new LaunchRegistry();
    registry.register(known, 'web');
    return createLaunchAttestor(registry);
  },
});

describe('a launch name', () => {
  test('is for the process that was registered, and for no other', async () => {
    using registry = new LaunchRegistry();
    const [web, other] = [children.start().pid!, children.start().pid!];
    expect(registry.register(observed(web), 'web')).toBe('registered');
    expect(await namesOf(registry, observed(web))).toEqual(['name:web']);
    expect(await namesOf(registry, observed(other))).toEqual([]);
    expect(await namesOf(registry, observed(process.pid))).toEqual([]);
  });

  test('is not for a process that got the pid afterwards', async () => {
    using registry = new LaunchRegistry();
    const pid = children.start().pid!;
    registry.register(observed(pid), 'web');
    const successor = observed(pid, { startTime: observed(pid).startTime + 1n });
    expect(await namesOf(registry, successor)).toEqual([]);
  });

  test('ends with the process, and its descriptor is closed', async () => {
    using registry = new LaunchRegistry();
    const child = children.start();
    let closed = 0;
    const web = observed(child.pid!, { close: () => void closed++ });
    registry.register(web, 'web');
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    expect(await namesOf(registry, web)).toEqual([]);
    registry.sweep();
    expect(registry.size).toBe(0);
    expect(closed).toBe(1);
  });

  test('once given is not changed; the same name may be given again', () => {
    using registry = new LaunchRegistry();
    const pid = children.start().pid!;
    expect(registry.register(observed(pid), 'web')).toBe('registered');
    expect(registry.register(observed(pid), 'admin')).toBe('already-named-otherwise');
    expect(registry.register(observed(pid), 'web')).toBe('registered');
    expect(registry.nameOf(observed(pid))).toBe('web');
  });

  test('is short and plain', () => {
    for (const good of ['a', 'web-1', 'A_b.c', 'x'.repeat(64)]) expect(good).toMatch(LAUNCH_NAME);
    for (const bad of ['', 'x'.repeat(65), 'a b', 'a:b', 'a/b', 'a\n', 'ä'])
      expect(bad).not.toMatch(LAUNCH_NAME);
  });
});
