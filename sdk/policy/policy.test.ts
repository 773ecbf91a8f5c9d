import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SpiffeError } from '../error.ts';
import { parseSpiffeId } from '../spiffe-id.ts';
import { compilePolicy, evaluate, parsePolicy, type Policy, type PolicyRule } from './policy.ts';

const HEAD = 'version: sigil.policy/v1\nservice: spiffe://example.org/orders\n';

function decide(text: string, who: string, what: string): string {
  const [method, path] = what.split(' ') as [string, string];
  const policy = compilePolicy(parsePolicy(HEAD + text, 'p.yaml'));
  const { verdict, rule } = evaluate(policy, { id: parseSpiffeId(`spiffe://${who}`), method, path });
  return `${verdict} ${rule}`;
}

function problems(text: string): string[] {
  try {
    parsePolicy(text, 'p.yaml');
  } catch (error) {
    expect(error).toBeInstanceOf(SpiffeError);
    expect((error as SpiffeError).code).toBe('ERR_POLICY');
    return (error as SpiffeError).message.split('\n');
  }
  return [];
}

const ORDERS = `
default: deny
allow:
  - { id: web-reads, from: [spiffe://example.org/web], methods: [GET, HEAD], paths: [/orders, /orders/*] }
  - id: billing
    from: [spiffe://example.org/billing/**, spiffe://partner.example/billing/*/api]
    paths: [/refunds/**]
  - { id: ops, from: [spiffe://example.org/ops] }
deny:
  - { id: no-legacy, from: [spiffe://example.org/billing/legacy/**] }
  - { id: no-delete, methods: [DELETE] }
`;

describe('evaluate', () => {
  it.each([
    ['example.org/web', 'GET /orders', 'allow web-reads'],
    ['example.org/web', 'HEAD /orders/1', 'allow web-reads'],
    ['example.org/web', 'POST /orders', 'deny default'],
    ['example.org/web', 'GET /orders/1/items', 'deny default'],
    ['example.org/web', 'GET /orders/', 'deny default'],
    ['example.org/web2', 'GET /orders', 'deny default'],
    ['example.org/web/x', 'GET /orders', 'deny default'],
    ['evil.example/web', 'GET /orders', 'deny default'],
    ['example.org/billing/api', 'POST /refunds/7', 'allow billing'],
    ['partner.example/billing/eu/api', 'POST /refunds', 'allow billing'],
    ['partner.example/billing/api', 'POST /refunds', 'deny default'],
    ['example.org/billing/legacy/a', 'POST /refunds/7', 'deny no-legacy'],
    ['example.org/billing/legacy', 'POST /refunds/7', 'deny no-legacy'],
    ['example.org/ops', 'PUT /anything', 'allow ops'],
    ['example.org/ops', 'DELETE /anything', 'deny no-delete'],
  ])('%s %s: %s', (who, what, expected) => {
    expect(decide(ORDERS, who, what)).toBe(expected);
  });

  it('denies everything where there is no rule', () => {
    expect(decide('', 'example.org/web', 'GET /')).toBe('deny default');
  });
});

describe('parsePolicy', () => {
  it.each([
    ['allow: []', 'p.yaml:1:1: version: must be sigil.policy/v1'],
    [`${HEAD}alow: []`, 'p.yaml:3:1: unknown key "alow"; allowed: version, service, default, allow, deny'],
    [`${HEAD}default: allow`, 'p.yaml:3:1: default: must be deny: what no rule allows is refused'],
    [`${HEAD}allow:\n  - { id: a, paths: [/] }`, 'p.yaml:4:5: allow.0.from: '],
    [`${HEAD}allow:\n  - { id: a, from: [] }`, 'must name at least one SPIFFE ID pattern'],
    [`${HEAD}allow:\n  - { id: A, from: [spiffe://e.org/a] }`, 'p.yaml:4:7: allow.0.id: must be 1 to 63'],
    [`${HEAD}allow:\n  - { id: default, from: [spiffe://e.org/a] }`, 'when no rule matches'],
    [
      `${HEAD}allow:\n  - { id: a, from: [spiffe://e.org/a], path: [/] }`,
      'unknown key "path" in allow.0; allowed: id, from, methods, paths',
    ],
    [`${HEAD}allow:\n  - { id: a, from: [spiffe://*/a] }`, 'the trust domain must be spelled out'],
    [`${HEAD}allow:\n  - { id: a, from: [web] }`, 'must begin with spiffe://'],
    [`${HEAD}allow:\n  - { id: a, from: [spiffe://E.org/a] }`, 'no SPIFFE ID can match this'],
    [`${HEAD}allow:\n  - { id: a, from: [spiffe://e.org/a*] }`, '* must stand for a whole segment'],
    [`${HEAD}allow:\n  - { id: a, from: [spiffe://e.org/**/a] }`, '** may only be the last segment'],
    [`${HEAD}allow:\n  - { id: a, from: [spiffe://e.org/a], methods: [get] }`, 'methods are case-sensitive'],
    [`${HEAD}allow:\n  - { id: a, from: [spiffe://e.org/a], methods: [] }`, 'an empty list matches nothing'],
    [`${HEAD}allow:\n  - { id: a, from: [spiffe://e.org/a], paths: [/a/../b] }`, 'no request can match this'],
    [`${HEAD}allow:\n  - { id: a, from: [spiffe://e.org/a], paths: [orders] }`, 'must begin with /'],
    [`${HEAD}allow:\n  - { id: a, from: [spiffe://e.org/a], paths: ['/a?b'] }`, 'rules match the path only'],
    [`${HEAD}allow:\n  - { id: a, from: [spiffe://e.org/a], paths: ['/%c3%a9'] }`, 'canonical form: /%C3%A9'],
    [
      `${HEAD}allow:\n  - { id: a, from: [spiffe://e.org/a] }\ndeny:\n  - { id: a }`,
      'p.yaml:6:7: deny.0.id: the rule id "a" is used twice',
    ],
    [`${HEAD}allow: {`, 'p.yaml:'],
    [`${HEAD}service: spiffe://e.org/b`, 'p.yaml:3:1: '],
    [`${HEAD}allow: !rules []`, 'p.yaml:3:8: '],
    ['', 'p.yaml:1:1: version: '],
    ['- a', 'p.yaml:1:1: '],
    ['just text', 'p.yaml:1:1: '],
  ])('%j', (text, expected) => {
    expect(problems(text).join('\n')).toContain(expected);
    for (const line of problems(text)) expect(line).toMatch(/^p\.yaml:\d+:\d+: /);
  });

  it('tells all problems at once', () => {
    expect(problems('version: x\nservice: y\nmore: z\n')).toHaveLength(3);
  });

  it('survives a bomb of aliases', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x,x]',
      ...'bcdefghi'.split('').map((name, index) => {
        const before = 'abcdefgh'[index]!;
        return `${name}: &${name} [${Array.from({ length: 10 }, () => `*${before}`).join(',')}]`;
      }),
    ];
    expect(problems(bomb.join('\n')).length).toBeGreaterThan(0);
  });
});

describe('the language', () => {
  const ids = ['spiffe://a.org/x', 'spiffe://a.org/y', 'spiffe://a.org/x/z', 'spiffe://b.org/x'];
  const rule = (kind: 'allow' | 'deny') =>
    fc.record(
      {
        from: fc.uniqueArray(fc.constantFrom(...ids, 'spiffe://a.org/*', 'spiffe://a.org/**'), {
          minLength: 1,
          maxLength: 3,
        }),
        methods: fc.uniqueArray(fc.constantFrom('GET', 'POST'), { minLength: 1 }),
        paths: fc.uniqueArray(fc.constantFrom('/a', '/a/*', '/a/**', '/b'), { minLength: 1, maxLength: 3 }),
      },
      { requiredKeys: kind === 'allow' ? ['from'] : [] },
    );
  const rules = fc.record({
    allow: fc.array(rule('allow'), { maxLength: 4 }),
    deny: fc.array(rule('deny'), { maxLength: 3 }),
  });
  const request = fc.record({
    id: fc.constantFrom(...ids.map(parseSpiffeId)),
    method: fc.constantFrom('GET', 'POST', 'PUT'),
    path: fc.constantFrom('/', '/a', '/a/b', '/a/b/c', '/b'),
  });
  type Rules = { allow: Omit<PolicyRule, 'id'>[]; deny: Omit<PolicyRule, 'id'>[] };
  const policyOf = ({ allow, deny }: Rules): Policy =>
    parsePolicy(
      JSON.stringify({
        version: 'sigil.policy/v1',
        service: 'spiffe://a.org/s',
        allow: allow.map((each, index) => ({ id: `allow-${index}`, ...each })),
        deny: deny.map((each, index) => ({ id: `deny-${index}`, ...each })),
      }),
      'p.json',
    );

  it('default deny, deny beats allow: as a naive reading of it', () => {
    const part = (pattern: string, text: string) =>
      new RegExp(
        `^${pattern.replaceAll('.', '\\.').replace('/**', '(/.*)?').replaceAll(/\*$/g, '[^/]+').replace('(/.[^/]+)?', '(/.*)?')}$`,
      ).test(text);
    fc.assert(
      fc.property(rules, request, (given, { id, method, path }) => {
        const hit = (each: Omit<PolicyRule, 'id'>) =>
          (each.from?.some((pattern) => part(pattern, id)) ?? true) &&
          (each.methods?.includes(method) ?? true) &&
          (each.paths?.some((pattern) => part(pattern, path)) ?? true);
        const expected = !given.deny.some(hit) && given.allow.some(hit) ? 'allow' : 'deny';
        expect(evaluate(compilePolicy(policyOf(given)), { id, method, path }).verdict).toBe(expected);
      }),
      { numRuns: 2_000 },
    );
  });

  it('does not care for the order of rules, not even in the rule it names', () => {
    fc.assert(
      fc.property(rules, request, (given, asked) => {
        const policy = policyOf(given);
        const turned = { ...policy, allow: policy.allow.toReversed(), deny: policy.deny.toReversed() };
        expect(evaluate(compilePolicy(turned), asked)).toEqual(evaluate(compilePolicy(policy), asked));
      }),
      { numRuns: 500 },
    );
  });

  it('an added deny never allows more, an added allow never denies more', () => {
    fc.assert(
      fc.property(rules, rule('allow'), rule('deny'), request, (given, allow, deny, asked) => {
        const verdict = (some: Rules) => evaluate(compilePolicy(policyOf(some)), asked).verdict;
        const before = verdict(given);
        if (before === 'deny') expect(verdict({ ...given, deny: [...given.deny, deny] })).toBe('deny');
        else expect(verdict({ ...given, allow: [...given.allow, allow] })).toBe('allow');
      }),
      { numRuns: 500 },
    );
  });
});
