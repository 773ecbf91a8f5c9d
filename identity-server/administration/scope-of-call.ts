// The scope of the administrator who calls, from the guard to the handlers.
import type { Context } from '../api/caller.ts';
import type { Scope } from './scope.ts';

const scopes = new WeakMap<Context, Scope>();

/** Notes that a call is limited. */
export function noteScope(context: Context, scope: Scope): void {
  scopes.set(context, scope);
}

/** The limits of a call; undefined: there are none but those of its class. */
export function scopeOf(context: Context): Scope | undefined {
  return scopes.get(context);
}
