// The policy file: its shape, and what a pattern may be.
import { z } from 'zod';
import { isSpiffeId } from '../spiffe-id.ts';
import { canonicalPath, isRefusal } from './canonical-path.ts';
import { parsePattern } from './pattern.ts';

/** The longest list in a rule, and the most rules of a kind: a file is read by people. */
const MAX_LIST = 1_000;
const MAX_RULES = 10_000;
const MAX_PATTERN = 2_048;

const ruleId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 of a-z 0-9 -, and not begin with -')
  .refine((id) => id !== 'default', '"default" is the name of what decides when no rule matches');

const spiffeId = z.string().refine(isSpiffeId, 'must be a SPIFFE ID, such as spiffe://example.org/orders');

const idPattern = z
  .string()
  .max(MAX_PATTERN)
  .superRefine((text, context) => {
    const problem = problemOfIdPattern(text);
    if (problem !== undefined)
      context.addIssue({ code: 'custom', message: `${JSON.stringify(text)}: ${problem}` });
  });

const pathPattern = z
  .string()
  .max(MAX_PATTERN)
  .superRefine((text, context) => {
    const problem = problemOfPathPattern(text);
    if (problem !== undefined)
      context.addIssue({ code: 'custom', message: `${JSON.stringify(text)}: ${problem}` });
  });

const method = z
  .string()
  .regex(
    /^[A-Z][A-Z0-9_-]{0,31}$/,
    'must be a method in upper case, such as GET: methods are case-sensitive',
  );

const methods = z
  .array(method)
  .min(1, 'an empty list matches nothing: leave the key out for any method')
  .max(MAX_LIST);
const paths = z
  .array(pathPattern)
  .min(1, 'an empty list matches nothing: leave the key out for any path')
  .max(MAX_LIST);
const from = z.array(idPattern).min(1, 'must name at least one SPIFFE ID pattern').max(MAX_LIST);

/** Who may do what. `from` is required: a rule without it would open the service to the whole mesh. */
export const allowRuleSchema = z.strictObject({
  id: ruleId,
  from,
  methods: methods.optional(),
  paths: paths.optional(),
});

/** Who may not do what. A deny rule without any condition denies everything, which is a way to close a service. */
export const denyRuleSchema = z.strictObject({
  id: ruleId,
  from: from.optional(),
  methods: methods.optional(),
  paths: paths.optional(),
});

/** A policy file. */
export const policySchema = z
  .strictObject({
    version: z.literal('sigil.policy/v1', 'must be sigil.policy/v1'),
    service: spiffeId,
    default: z.literal('deny', 'must be deny: what no rule allows is refused').optional(),
    allow: z.array(allowRuleSchema).max(MAX_RULES).default([]),
    deny: z.array(denyRuleSchema).max(MAX_RULES).default([]),
  })
  .superRefine((policy, context) => {
    const seen = new Set<string>();
    for (const kind of ['allow', 'deny'] as const) {
      for (const [index, rule] of policy[kind].entries()) {
        if (seen.has(rule.id)) {
          context.addIssue({
            code: 'custom',
            path: [kind, index, 'id'],
            message: `the rule id "${rule.id}" is used twice`,
          });
        }
        seen.add(rule.id);
      }
    }
  });

/** A checked policy. */
export type Policy = z.infer<typeof policySchema>;

/** A rule of a checked policy. */
export type PolicyRule = z.infer<typeof denyRuleSchema>;

/** The trust domain, always spelled out, and the path pattern of a SPIFFE ID pattern. */
export function splitIdPattern(text: string): { trustDomain: string; path: string } {
  const rest = text.slice('spiffe://'.length);
  const slash = rest.indexOf('/');
  return slash === -1
    ? { trustDomain: rest, path: '' }
    : { trustDomain: rest.slice(0, slash), path: rest.slice(slash) };
}

function problemOfIdPattern(text: string): string | undefined {
  if (!text.startsWith('spiffe://')) return 'must begin with spiffe:// and name its trust domain';
  const { trustDomain, path } = splitIdPattern(text);
  if (trustDomain.includes('*')) return 'the trust domain must be spelled out';
  const pattern = parsePattern(path);
  if (typeof pattern === 'string') return pattern;
  // With plain segments in place of the stars it must be an ID: a pattern that no ID can match is a mistake.
  const sample = [...pattern.segments, ...(pattern.open ? ['x'] : [])].map((segment) =>
    segment === '*' ? 'x' : segment,
  );
  return isSpiffeId(['spiffe:/', trustDomain, ...sample].join('/'))
    ? undefined
    : 'no SPIFFE ID can match this';
}

function problemOfPathPattern(text: string): string | undefined {
  const pattern = parsePattern(text);
  if (typeof pattern === 'string') return pattern;
  if (text === '') return 'must begin with /';
  const target = canonicalPath(text);
  if (isRefusal(target)) return `no request can match this: ${target.refusal}`;
  if (target.query !== '') return 'must not have a query: rules match the path only';
  return target.path === text ? undefined : `must be written in canonical form: ${target.path}`;
}
