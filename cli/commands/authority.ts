// svid authority x509|jwt|wit show | prepare | activate | taint | revoke
import type { DescMethodUnary } from '@bufbuild/protobuf';
import {
  LocalAuthority,
  type AuthorityState,
} from '../../sdk/api/gen/spire/api/server/localauthority/v1/localauthority_pb.ts';
import { fields, print, printJson, timeOf } from '../output.ts';
import { withServer, type ServerOptions } from '../server-call.ts';
import { jsonOf } from '../wire.ts';

/** What an authority signs. */
export type AuthorityKind = 'x509' | 'jwt' | 'wit';
/** What can be done to an authority. */
export type AuthorityVerb = 'prepare' | 'activate' | 'taint' | 'revoke';

const NAMES = { x509: 'X509', jwt: 'JWT', wit: 'WIT' } as const;

// The same five methods for each kind, told apart by their names.
function methodOf(name: string): DescMethodUnary {
  const method = LocalAuthority.methods.find((candidate) => candidate.name === name);
  if (method?.methodKind !== 'unary') throw new TypeError(`${name} is no method of LocalAuthority`);
  return method as DescMethodUnary;
}

export async function show(kind: AuthorityKind, options: ServerOptions): Promise<void> {
  const method = methodOf(`Get${NAMES[kind]}AuthorityState`);
  const answer = await withServer(options, (client) => client.unary(method, {}));
  if (options.output === 'json') {
    printJson(jsonOf(method.output, answer));
    return;
  }
  const { active, prepared, old } = answer as unknown as Record<
    'active' | 'prepared' | 'old',
    AuthorityState
  >;
  print(
    [`Active:\n${stateText(active)}`, `Prepared:\n${stateText(prepared)}`, `Old:\n${stateText(old)}`].join(
      '\n',
    ),
  );
}

export async function change(
  kind: AuthorityKind,
  verb: AuthorityVerb,
  authorityId: string | undefined,
  options: ServerOptions,
): Promise<void> {
  const method = methodOf(`${verb[0]!.toUpperCase()}${verb.slice(1)}${NAMES[kind]}Authority`);
  const request = authorityId === undefined ? {} : { authorityId };
  const answer = await withServer(options, (client) => client.unary(method, request));
  if (options.output === 'json') {
    printJson(jsonOf(method.output, answer));
    return;
  }
  const field = { prepare: 'prepared', activate: 'activated', taint: 'tainted', revoke: 'revoked' }[verb];
  const state = (answer as unknown as Record<string, AuthorityState | undefined>)[`${field}Authority`];
  print(`${field[0]!.toUpperCase()}${field.slice(1)}:\n${stateText(state)}`);
}

function stateText(state: AuthorityState | undefined): string {
  if (state === undefined) return '  none\n';
  return fields([
    ['  Authority ID', state.authorityId],
    ['  Expires', timeOf(state.expiresAt)],
  ]);
}
