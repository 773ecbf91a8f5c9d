// A policy, made ready to decide: identities in an index, the rest in closures that allocate nothing.
import { pathOf, trustDomainOf, type SpiffeId } from '../spiffe-id.ts';
import { matches, parsePattern, type Pattern } from './pattern.ts';
import { splitIdPattern, type Policy, type PolicyRule } from './schema.ts';

/** What is asked: who does what. `path` must be canonical (see `canonicalPath`). */
export interface PolicyRequest {
  readonly id: SpiffeId;
  readonly method: string;
  readonly path: string;
}

/** What is decided. `reason` is for the operator, never for the caller. */
export interface Decision {
  readonly verdict: 'allow' | 'deny';
  /** The id of the rule that decided, or `default`. */
  readonly rule: string;
  readonly reason: string;
}

/** A policy that can be asked. */
export interface CompiledPolicy {
  readonly service: SpiffeId;
  readonly allow: RuleIndex;
  readonly deny: RuleIndex;
}

interface RuleIndex {
  /** Rules that can concern an ID that is named in full. */
  readonly exact: ReadonlyMap<string, readonly CompiledRule[]>;
  /** Rules with ID patterns, or for everybody. */
  readonly open: readonly CompiledRule[];
}

interface CompiledRule {
  readonly decision: Decision;
  matches(request: PolicyRequest): boolean;
}

/** Compiles a checked policy. */
export function compilePolicy(policy: Policy): CompiledPolicy {
  return {
    service: policy.service,
    allow: indexOf(policy.allow, 'allow'),
    deny: indexOf(policy.deny, 'deny'),
  };
}

/** Decides: default deny, deny beats allow, the order of rules never matters. */
export function evaluate(policy: CompiledPolicy, request: PolicyRequest): Decision {
  return find(policy.deny, request) ?? find(policy.allow, request) ?? DEFAULT;
}

const DEFAULT: Decision = { verdict: 'deny', rule: 'default', reason: 'no rule allows it' };

// Which of several matching rules is named does not depend on their order: the first by id.
function find(index: RuleIndex, request: PolicyRequest): Decision | undefined {
  const first = firstMatch(index.exact.get(request.id) ?? [], request);
  const second = firstMatch(index.open, request);
  if (first === undefined || second === undefined) return first ?? second;
  return first.rule < second.rule ? first : second;
}

function firstMatch(rules: readonly CompiledRule[], request: PolicyRequest): Decision | undefined {
  for (const rule of rules) if (rule.matches(request)) return rule.decision;
  return undefined;
}

function indexOf(rules: readonly PolicyRule[], verdict: 'allow' | 'deny'): RuleIndex {
  const exact = new Map<string, CompiledRule[]>();
  const open: CompiledRule[] = [];
  for (const rule of rules.toSorted((a, b) => (a.id < b.id ? -1 : 1))) {
    const reason = verdict === 'allow' ? 'an allow rule matches' : 'a deny rule matches';
    const decision: Decision = { verdict, rule: rule.id, reason };
    const operation = operationOf(rule);
    const names = rule.from?.filter((id) => !id.includes('*'));
    const patterns = rule.from?.filter((id) => id.includes('*')).map(idPatternOf);
    for (const id of new Set(names)) {
      const list = exact.get(id) ?? [];
      list.push({ decision, matches: operation });
      exact.set(id, list);
    }
    if (patterns === undefined) open.push({ decision, matches: operation });
    else if (patterns.length > 0) {
      open.push({ decision, matches: (request) => anyId(patterns, request.id) && operation(request) });
    }
  }
  return { exact, open };
}

function operationOf(rule: PolicyRule): (request: PolicyRequest) => boolean {
  const methods = rule.methods === undefined ? undefined : new Set(rule.methods);
  const exact =
    rule.paths === undefined ? undefined : new Set(rule.paths.filter((path) => !path.includes('*')));
  const patterns = (rule.paths ?? []).filter((path) => path.includes('*')).map(checked);
  return ({ method, path }) =>
    (methods === undefined || methods.has(method)) &&
    (exact === undefined || exact.has(path) || patterns.some((pattern) => matches(pattern, path)));
}

interface IdPattern {
  readonly trustDomain: string;
  readonly path: Pattern;
}

function idPatternOf(text: string): IdPattern {
  const { trustDomain, path } = splitIdPattern(text);
  return { trustDomain, path: checked(path) };
}

function anyId(patterns: readonly IdPattern[], id: SpiffeId): boolean {
  const trustDomain = trustDomainOf(id);
  const path = pathOf(id);
  return patterns.some((pattern) => pattern.trustDomain === trustDomain && matches(pattern.path, path));
}

function checked(text: string): Pattern {
  const pattern = parsePattern(text);
  if (typeof pattern === 'string') throw new TypeError(`${text}: ${pattern}`);
  return pattern;
}
