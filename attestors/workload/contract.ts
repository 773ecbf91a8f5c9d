// For tests only: what every workload attestor keeps to, run against each.
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import type { WorkloadAttestor, WorkloadProcess } from './workload-attestor.ts';

/** How the suite gets at an attestor. */
export interface WorkloadAttestorSubject {
  readonly name: string;
  /** An attestor that has something to say of this process. */
  create(known: WorkloadProcess): WorkloadAttestor;
}

/** The suite. */
export function testWorkloadAttestor(subject: WorkloadAttestorSubject): void {
  describe(`as a workload attestor, ${subject.name}`, () => {
    const children = processes();
    afterAll(() => children.end());
    const signal = new AbortController().signal;

    test('has the name that its selectors have as type', async () => {
      const known = observed(children.start().pid!);
      const attestor = subject.create(known);
      expect(attestor.name).toBe(subject.name);
      const selectors = await attestor.attest(known, signal);
      expect(selectors.length).toBeGreaterThan(0);
      for (const selector of selectors) {
        expect(selector.type).toBe(subject.name);
        expect(selector.value).toMatch(/^[a-z0-9_]+:./);
      }
    });

    test('says the same again, and says it for several callers at once', async () => {
      const known = observed(children.start().pid!);
      const attestor = subject.create(known);
      const first = await attestor.attest(known, signal);
      const again = await Promise.all([1, 2, 3].map(() => attestor.attest(known, signal)));
      for (const selectors of again) expect(selectors).toEqual(first);
    });
  });
}

/** Child processes of a test. */
export function processes(): { start(command?: string): ChildProcess; end(): void } {
  const children: ChildProcess[] = [];
  return {
    start(command = 'exec sleep 60') {
      const child = spawn('/bin/sh', ['-c', command], { stdio: ['pipe', 'pipe', 'ignore'] });
      children.push(child);
      return child;
    },
    end() {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}

/** A process as /proc shows it now. (The agent holds its processes by pidfds; here the child is waited for by us.) */
export function observed(pid: number, over: Partial<WorkloadProcess> = {}): WorkloadProcess {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTime = BigInt(fields[19]!);
  const uid = process.getuid!();
  return {
    pid,
    parent: Number(fields[1]),
    startTime,
    uid,
    gid: process.getgid!(),
    uids: [uid, uid, uid, uid],
    groups: process.getgroups!(),
    executable: readlinkSync(`/proc/${pid}/exe`),
    isAlive() {
      try {
        const now = readFileSync(`/proc/${pid}/stat`, 'latin1');
        return !now.slice(now.lastIndexOf(')') + 2).startsWith('Z');
      } catch {
        return false;
      }
    },
    close: () => {},
    ...over,
  };
}
