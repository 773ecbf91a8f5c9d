import { describe, expect, it } from 'vitest';
import { createLog } from './log.ts';

describe('the log', () => {
  it('writes one JSON line an event, without what is secret', () => {
    const lines: string[] = [];
    const log = createLog({
      name: 'test',
      level: 'info',
      destination: { write: (line) => lines.push(line) },
    });
    log.debug('not this');
    log.info({ token: 'hunter2', nested: { private_key: 'hunter2' }, peer: 'x' }, 'hello');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'info', name: 'test', msg: 'hello', peer: 'x' });
    expect(lines[0]).not.toContain('hunter2');
  });

  it('holds nothing that a terminal obeys, and says the same', () => {
    const lines: string[] = [];
    const log = createLog({ name: 'test', destination: { write: (line) => lines.push(line) } });
    const hostile = '\u001b[31m\u009b2J\r\n{"level":"info"}\u202e\u2028\u007f';
    log.info({ path: hostile }, hostile);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(lines[0]!)).toMatchObject({ path: hostile, msg: hostile });
  });
});
