// Administrators with limits, as they are configured.
import { z } from 'zod';
import { messageOf } from '../../sdk/error.ts';
import { parseSpiffeId, type SpiffeId, type TrustDomain } from '../../sdk/spiffe-id.ts';
import { AUTHORIZATION } from '../api/authorization.ts';
import { patternOf, Scope } from './scope.ts';

/** An RPC that adds to what everybody trusts: who may call it may do everything. */
const NEVER = '/spire.api.server.bundle.v1.Bundle/AppendBundle';

function checked<T>(read: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return read(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: messageOf(error) });
      return z.NEVER;
    }
  });
}

const pattern = checked((text) => {
  patternOf(text);
  return text;
});

const dnsPattern = z
  .string()
  .regex(/^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i, 'must be a DNS name, or *. and a domain');

const allowSchema = z.strictObject({
  rpcs: z
    .array(checked(rpcsOf))
    .min(1)
    .describe('RPCs as `Service/Method`, or `Service/*` for all of a service, such as `Entry/ListEntries`.'),
  spiffe_ids: z
    .array(pattern)
    .default([])
    .describe(
      'Paths of SPIFFE IDs that it may grant, by segments: `*` is one, `**` at the end any number. `/ns/mal/**` does not cover `/ns/malicious`.',
    ),
  parent_ids: z
    .array(pattern)
    .default([])
    .describe(
      'Paths of the parents below which it may grant, and of the agents that it may administer. Paths below `/spire` are covered only by patterns that begin with it, `/spire/server` (node aliases) only by itself.',
    ),
  dns_names: z
    .array(dnsPattern)
    .default([])
    .describe('DNS names that it may put into SVIDs: exact, or `*.example.org` for one label.'),
});

/** The schema of `administrators`. */
export const administratorsSchema = z
  .array(
    z.strictObject({
      spiffe_id: checked(parseSpiffeId).describe('Who it is.'),
      allow: allowSchema.describe('What it may do; nothing else, whatever its entry says.'),
    }),
  )
  .default([]);

export type AdministratorConfig = z.infer<typeof administratorsSchema>[number];

/**
 * The scope of each limited administrator.
 *
 * @throws Error if somebody would be both limited and not.
 */
export function createScopes(
  administrators: readonly AdministratorConfig[],
  { trustDomain, adminIds }: { readonly trustDomain: TrustDomain; readonly adminIds: Iterable<SpiffeId> },
): ReadonlyMap<SpiffeId, Scope> {
  const scopes = new Map<SpiffeId, Scope>();
  for (const { spiffe_id: id, allow } of administrators) {
    if (scopes.has(id)) throw new Error(`administrators: ${id} is listed twice`);
    scopes.set(
      id,
      new Scope({
        trustDomain,
        rpcs: new Set(allow.rpcs.flat()),
        spiffeIds: allow.spiffe_ids,
        parentIds: allow.parent_ids,
        dnsNames: allow.dns_names,
      }),
    );
  }
  for (const id of adminIds) {
    if (scopes.has(id)) throw new Error(`${id} is in admin_ids, which has no limits, and in administrators`);
  }
  return scopes;
}

// Paths of the RPCs that `Entry/ListEntries` or `Entry/*` means.
function rpcsOf(text: string): string[] {
  const [service, method, ...rest] = text.split('/');
  const found = [...AUTHORIZATION].flatMap(([path, classes]) => {
    const [, name, rpc] = path.split('/');
    const isMeant = name!.split('.').at(-1) === service && (method === '*' || method === rpc);
    return isMeant && rest.length === 0 && classes.includes('admin') ? [path] : [];
  });
  if (found.includes(NEVER) && method !== '*') {
    throw new Error('Bundle/AppendBundle cannot be limited: who adds an authority can be anybody');
  }
  if (found.length === 0) {
    throw new Error(
      `${JSON.stringify(text)} is no RPC of administrators; write Service/Method, such as Entry/ListEntries`,
    );
  }
  return found.filter((path) => path !== NEVER);
}
