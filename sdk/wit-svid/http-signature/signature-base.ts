// The signature base of a request (RFC 9421 2): what exactly is signed. Components without parameters only.
import { proofError, type FieldMap, type WitRequest } from '../proof-of-possession.ts';
import { innerListText, type SfItem, type SfParameters } from './structured-fields.ts';

/** The parts of an absolute URI, as they stand: nothing is decoded or normalised but the case of scheme and host. */
interface Target {
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly query: string | undefined;
}

/**
 * The bytes to sign for the given components and parameters.
 *
 * @throws SpiffeError `ERR_SVID_PROOF` for a component that is repeated, has parameters, is not there or is not known,
 * and for a field value that spans lines.
 */
export function signatureBaseOf(
  request: WitRequest,
  fields: FieldMap,
  components: readonly SfItem[],
  parameters: SfParameters,
): Uint8Array {
  const names = componentNames(components);
  const lines = names.map((name) => `"${name}": ${componentValue(name, request, fields)}`);
  lines.push(`"@signature-params": ${innerListText(components, parameters)}`);
  return new TextEncoder().encode(lines.join('\n'));
}

/** The names of components, each of which must stand once and have no parameters. */
export function componentNames(components: readonly SfItem[]): readonly string[] {
  const names = components.map(({ value, parameters }) => {
    if (typeof value !== 'string' || parameters.size > 0) {
      throw proofError('a component is no name, or has parameters, which are not supported');
    }
    return value;
  });
  if (new Set(names).size !== names.length) throw proofError('a component is signed twice');
  return names;
}

function componentValue(name: string, request: WitRequest, fields: FieldMap): string {
  const value = name.startsWith('@') ? derivedValue(name, request) : fieldValue(name, fields);
  // A line break would let one component pose as another.
  if (/[\r\n]/.test(value)) throw proofError(`the component ${JSON.stringify(name)} spans lines`);
  return value;
}

function fieldValue(name: string, fields: FieldMap): string {
  if (name !== name.toLowerCase() || !fields.has(name)) {
    throw proofError(`the signed field ${JSON.stringify(name.slice(0, 80))} is not there`);
  }
  return fields.all(name).join(', ');
}

// RFC 9421 2.2.
function derivedValue(name: string, request: WitRequest): string {
  const { scheme, authority, path, query } = targetOf(request.url);
  switch (name) {
    case '@method':
      return request.method;
    case '@target-uri':
      return request.url;
    case '@scheme':
      return scheme;
    case '@authority':
      return authority;
    case '@path':
      return path;
    case '@query':
      return `?${query ?? ''}`;
    case '@request-target':
      return query === undefined ? path : `${path}?${query}`;
    default:
      throw proofError(`the component ${JSON.stringify(name.slice(0, 80))} is not supported`);
  }
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { https: ':443', http: ':80' };

function targetOf(url: string): Target {
  const match = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#]+)([^?#]*)(?:\?([^#]*))?(?:#.*)?$/s.exec(url);
  if (match === null) throw proofError('the target URI of the request is not absolute');
  const scheme = match[1]!.toLowerCase();
  const host = match[2]!.toLowerCase();
  const port = DEFAULT_PORTS[scheme];
  const authority = port !== undefined && host.endsWith(port) ? host.slice(0, -port.length) : host;
  return { scheme, authority, path: match[3] === '' ? '/' : match[3]!, query: match[4] };
}
