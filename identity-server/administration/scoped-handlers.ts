// The handlers of a service as a limited administrator meets them. What no rule speaks of is refused.
import type { DescService } from '@bufbuild/protobuf';
import type { Handlers } from '../../daemon/grpc/server.ts';
import type { Caller, Context } from '../api/caller.ts';
import { denied } from '../api/guard.ts';
import { AGENT_RULES } from './agent-rules.ts';
import { ENTRY_RULES } from './entry-rules.ts';
import { BUNDLE_RULES, SVID_RULES, TRUST_DOMAIN_RULES } from './other-rules.ts';
import { scopeOf } from './scope-of-call.ts';
import { pass, reachOf, type Handler, type Rule, type ScopedOptions } from './scoped-call.ts';

const RULES: Readonly<Record<string, Readonly<Record<string, Rule>>>> = {
  'spire.api.server.entry.v1.Entry': ENTRY_RULES,
  'spire.api.server.agent.v1.Agent': AGENT_RULES,
  'spire.api.server.svid.v1.SVID': SVID_RULES,
  'spire.api.server.bundle.v1.Bundle': BUNDLE_RULES,
  'spire.api.server.trustdomain.v1.TrustDomain': TRUST_DOMAIN_RULES,
  // It looks at the scope itself.
  'sigil.explain.v1.Explain': { explainEntries: pass },
};

// Authorities have no IDs to be limited by: whom `rpcs` names, may.
const PASSED: ReadonlySet<string> = new Set(['spire.api.server.localauthority.v1.LocalAuthority']);

/** The handlers behind the rules; callers without limits meet the handlers themselves. */
export function scoped<Service extends DescService>(
  service: Service,
  handlers: Handlers<Service, Caller>,
  options: ScopedOptions,
): Handlers<Service, Caller> {
  const all = handlers as Readonly<Record<string, Handler | undefined>>;
  const rules = RULES[service.typeName] ?? {};
  const reach = reachOf(options);
  const wrapped = service.methods.flatMap(({ localName, methodKind }): [string, Handler][] => {
    const handler = all[localName];
    if (handler === undefined) return [];
    // Streams are for agents and for those who want to become one.
    if (methodKind !== 'unary') return [[localName, handler]];
    const rule = PASSED.has(service.typeName) ? pass : rules[localName];
    const answer: Handler = async (request, context: Context) => {
      const scope = scopeOf(context);
      if (scope === undefined) return handler(request, context);
      if (rule === undefined) throw denied(context.path);
      return rule({
        request,
        context,
        scope,
        options,
        reach,
        next: (changed) => handler(changed, context),
        other: (name, changed) => all[name]!(changed, context),
      });
    };
    return [[localName, answer]];
  });
  return Object.fromEntries(wrapped) as Handlers<Service, Caller>;
}
