// What a federation relationship is configured with (Federation 5 and 6). Nothing is inferred: not the profile from the
// URL, not the trust domain from the endpoint.
import { messageOf, SpiffeError } from '../error.ts';
import {
  parseSpiffeId,
  parseTrustDomain,
  pathOf,
  trustDomainOf,
  type SpiffeId,
  type TrustDomain,
} from '../spiffe-id.ts';
import { parseEndpointUrl } from './endpoint-url.ts';

/** With whom to federate, and how the endpoint proves itself. One-way: the other side has one of its own (6). */
export type FederationRelationship =
  | {
      readonly trustDomain: TrustDomain;
      readonly url: string;
      /** The endpoint has a certificate of a public CA for its host name. */
      readonly profile: 'https_web';
    }
  | {
      readonly trustDomain: TrustDomain;
      readonly url: string;
      /** The endpoint has an X509-SVID for exactly this ID; its host name does not matter. */
      readonly profile: 'https_spiffe';
      readonly endpointId: SpiffeId;
    };

/** A relationship as it stands in a configuration. */
export interface RelationshipInput {
  readonly trustDomain?: string;
  readonly url?: string;
  readonly profile?: string;
  readonly endpointId?: string;
}

/**
 * Checks a relationship (5.2.1, 5.2.2): URL, profile and trust domain must be there, the URL must be https and without
 * userinfo; `https_spiffe` needs the endpoint's SPIFFE ID, `https_web` must not have one.
 *
 * @throws SpiffeError `ERR_FEDERATION`.
 */
export function parseRelationship(input: RelationshipInput): FederationRelationship {
  const { profile, endpointId } = input;
  const trustDomain = read('trust domain', input.trustDomain, parseTrustDomain);
  const url = read('endpoint URL', input.url, (text) => parseEndpointUrl(text).href);
  if (profile === 'https_web') {
    if (endpointId !== undefined)
      throw relationshipError('https_web takes no endpoint SPIFFE ID: which profile is meant?');
    return { trustDomain, url, profile };
  }
  if (profile !== 'https_spiffe') throw relationshipError('the profile must be https_web or https_spiffe');
  return { trustDomain, url, profile, endpointId: read('endpoint SPIFFE ID', endpointId, parseWorkloadId) };
}

/** Whether an endpoint serves the bundle of its own trust domain, so that each bundle vouches for the next (5.2.2.2). */
export function isSelfServing(relationship: FederationRelationship): boolean {
  return (
    relationship.profile === 'https_spiffe' &&
    trustDomainOf(relationship.endpointId) === relationship.trustDomain
  );
}

function parseWorkloadId(text: string): SpiffeId {
  const id = parseSpiffeId(text);
  if (pathOf(id) === '')
    throw new SpiffeError('ERR_SPIFFE_ID', `${id} has no path: no server can present it`);
  return id;
}

function read<T>(what: string, text: string | undefined, parse: (text: string) => T): T {
  if (typeof text !== 'string' || text === '') throw relationshipError(`the ${what} is missing`);
  try {
    return parse(text);
  } catch (cause) {
    throw relationshipError(`${what}: ${messageOf(cause)}`, cause);
  }
}

function relationshipError(problem: string, cause?: unknown): SpiffeError {
  return new SpiffeError('ERR_FEDERATION', `federation relationship: ${problem}`, { cause });
}
