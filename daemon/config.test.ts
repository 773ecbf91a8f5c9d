import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError, durationSchema, parseConfig } from './config.ts';

const schema = z.strictObject({
  name: z.string(),
  ttl: durationSchema('1h'),
  listen: z.strictObject({ port: z.number().int() }).optional(),
  list: z.array(z.strictObject({ id: z.string() })).default([]),
});

const problemOf = (text: string): string => {
  try {
    parseConfig(schema, text, 'a.yaml');
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
};

describe('parseConfig', () => {
  it('gives what the schema makes of the text', () => {
    expect(parseConfig(schema, 'name: a\nttl: 1h30m', 'a.yaml')).toEqual({
      name: 'a',
      ttl: 5_400_000,
      list: [],
    });
    expect(parseConfig(schema, '{"name": "a"}', 'a.yaml')).toMatchObject({ ttl: 3_600_000 });
  });

  it('names the place of an unknown key, also deep in a list', () => {
    expect(problemOf('name: a\nlist:\n  - id: x\n    idd: y\n')).toBe(
      'a.yaml:4:5: unknown key "idd" in list.0; allowed: id',
    );
    expect(problemOf('name: a\nnam: b')).toBe(
      'a.yaml:2:1: unknown key "nam"; allowed: name, ttl, listen, list',
    );
  });

  it('names the place of a wrong value and of a missing one', () => {
    expect(problemOf('name: a\nlisten:\n  port: x')).toMatch(/^a\.yaml:3:3: listen\.port: /);
    expect(problemOf('ttl: 1h')).toBe('a.yaml:1:1: name: is missing; it must be of type string');
    expect(problemOf('name: a\nttl: 5x')).toBe(
      'a.yaml:2:1: ttl: must be a duration such as 90s, 1h30m or 24h',
    );
  });

  it('reports all problems at once', () => {
    expect(problemOf('nam: a\nttl: x').split('\n')).toHaveLength(3);
  });

  it('refuses broken YAML, duplicate keys and alias bombs', () => {
    expect(problemOf('name: [a')).toMatch(/^a\.yaml:1:\d+: /);
    expect(problemOf('name: a\nname: b')).toMatch(/^a\.yaml:2:1: /);
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...['b', 'c', 'd', 'e', 'f'].map((name, index) => {
        const before = 'abcdef'[index];
        return `${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(',')}]`;
      }),
    ].join('\n');
    expect(() => parseConfig(schema, bomb, 'a.yaml')).toThrow();
  });
});
