// What an administrator is limited to: RPCs, and IDs by patterns of whole segments. Pure.
import { matches, parsePattern, type Pattern } from '../../sdk/policy/pattern.ts';
import { isMemberOf, pathOf, type SpiffeId, type TrustDomain } from '../../sdk/spiffe-id.ts';
import type { Entry } from '../store/store.ts';

/** Limits as they were configured. */
export interface ScopeOptions {
  readonly trustDomain: TrustDomain;
  /** Paths of RPCs: `/package.Service/Method`. */
  readonly rpcs: ReadonlySet<string>;
  /** Patterns of paths of IDs that it may grant. */
  readonly spiffeIds: readonly string[];
  /** Patterns of paths of IDs below which it may grant. */
  readonly parentIds: readonly string[];
  /** DNS names that its SVIDs may have: exact, or `*.` and a domain. */
  readonly dnsNames: readonly string[];
}

const SERVER_PATH = '/spire/server';

export class Scope {
  readonly #options: ScopeOptions;
  readonly #spiffeIds: readonly Pattern[];
  readonly #parentIds: readonly Pattern[];

  /** @throws Error that names a pattern which is none. */
  constructor(options: ScopeOptions) {
    this.#options = options;
    this.#spiffeIds = options.spiffeIds.map(patternOf);
    this.#parentIds = options.parentIds.map(patternOf);
  }

  allowsRpc(path: string): boolean {
    return this.#options.rpcs.has(path);
  }

  /** Whether it may grant an ID. */
  coversId(id: SpiffeId): boolean {
    return this.#covers(this.#spiffeIds, id);
  }

  /** Whether it may grant below an ID, or administer the agent that has it. */
  coversParent(id: SpiffeId): boolean {
    return this.#covers(this.#parentIds, id);
  }

  /** Whether an entry is one that it may see. */
  covers(entry: Pick<Entry, 'spiffeId' | 'parentId'>): boolean {
    return this.coversId(entry.spiffeId) && this.coversParent(entry.parentId);
  }

  coversDnsName(name: string): boolean {
    const wanted = name.toLowerCase();
    return this.#options.dnsNames.some((pattern) => {
      const domain = pattern.toLowerCase();
      if (!domain.startsWith('*.')) return wanted === domain;
      const host = wanted.slice(0, -(domain.length - 1));
      return wanted.endsWith(domain.slice(1)) && host !== '' && !host.includes('.');
    });
  }

  #covers(patterns: readonly Pattern[], id: SpiffeId): boolean {
    if (!isMemberOf(id, this.#options.trustDomain)) return false;
    const path = pathOf(id);
    return path !== '' && patterns.some((pattern) => coversPath(pattern, path));
  }
}

/** A pattern of paths: `*` is one segment, `**` at the end any number. */
export function patternOf(text: string): Pattern {
  const pattern = text === '' ? 'must begin with /' : parsePattern(text);
  if (typeof pattern === 'string') throw new Error(`${JSON.stringify(text)}: ${pattern}`);
  return pattern;
}

// Servers and agents are never meant by a pattern that does not name them: `/**` is every workload, and no agent. What
// stands below the server gives nodes other names; that must be said in full.
function coversPath(pattern: Pattern, path: string): boolean {
  if (path === SERVER_PATH && (pattern.open || pattern.segments.includes('*'))) return false;
  if ((path === '/spire' || path.startsWith('/spire/')) && pattern.segments[0] !== 'spire') return false;
  return matches(pattern, path);
}
