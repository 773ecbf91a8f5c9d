// Between the wire's messages and what people type and read.
import { create, toJson, type DescMessage, type JsonValue, type MessageInitShape } from '@bufbuild/protobuf';
import type { FederatesWithMatch_MatchBehavior } from '../sdk/api/gen/spire/api/types/federateswith_pb.ts';
import type { SelectorMatch_MatchBehavior } from '../sdk/api/gen/spire/api/types/selector_pb.ts';
import { parseSpiffeId, pathOf, trustDomainOf } from '../sdk/spiffe-id.ts';
import { CliError, ExitCode } from './errors.ts';

/** A SPIFFE ID as the wire has it. */
export interface WireId {
  readonly trustDomain: string;
  readonly path: string;
}

/** `spiffe://td/path`, or `(none)`. */
export function idText(id: WireId | undefined): string {
  return id === undefined ? '(none)' : `spiffe://${id.trustDomain}${id.path}`;
}

/**
 * Reads an ID that was typed.
 *
 * @throws CliError
 */
export function wireId(text: string, option: string): WireId {
  try {
    const id = parseSpiffeId(text);
    return { trustDomain: trustDomainOf(id), path: pathOf(id) };
  } catch (error) {
    throw new CliError(`${option}: ${(error as Error).message}`, { exitCode: ExitCode.usage });
  }
}

/**
 * Reads a selector that was typed: `type:value`, where the value may hold colons.
 *
 * @throws CliError
 */
export function wireSelector(text: string): { type: string; value: string } {
  const colon = text.indexOf(':');
  if (colon < 1 || colon === text.length - 1) {
    throw new CliError(`selector ${JSON.stringify(text)}: must be type:value, such as unix:uid:1000`, {
      exitCode: ExitCode.usage,
    });
  }
  return { type: text.slice(0, colon), value: text.slice(colon + 1) };
}

/** A message as JSON in the form of SPIRE's `-output json`: proto names, empty fields written, 64-bit numbers as text. */
export function jsonOf<Desc extends DescMessage>(schema: Desc, message: MessageInitShape<Desc>): JsonValue {
  return toJson(schema, create(schema, message), { useProtoFieldName: true, alwaysEmitImplicit: true });
}

/** How sets compare, as people type it. */
export type MatchName = 'exact' | 'subset' | 'superset' | 'any';

const MATCH_NAMES: readonly MatchName[] = ['exact', 'subset', 'superset', 'any'];

/** The number of a MatchBehavior, which SelectorMatch and FederatesWithMatch share. Default: superset. */
export function matchBehavior(
  name: MatchName = 'superset',
): SelectorMatch_MatchBehavior & FederatesWithMatch_MatchBehavior {
  return MATCH_NAMES.indexOf(name) as SelectorMatch_MatchBehavior & FederatesWithMatch_MatchBehavior;
}
