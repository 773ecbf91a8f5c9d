// Federation relationships on the wire, in both directions.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { messageOf } from '../../sdk/error.ts';
import { parseEndpointUrl } from '../../sdk/federation/endpoint-url.ts';
import type {
  FederationRelationship as RelationshipMessage,
  FederationRelationshipMask,
  FederationRelationshipSchema,
} from '../../sdk/api/gen/spire/api/types/federationrelationship_pb.ts';
import {
  parseSpiffeId,
  parseTrustDomain,
  pathOf,
  type SpiffeId,
  type TrustDomain,
} from '../../sdk/spiffe-id.ts';
import type { Bundle, Relationship } from '../store/store.ts';
import { bundleMessage, bundleOf } from './bundle-message.ts';

/** What a caller says of a relationship. */
export interface RelationshipInput {
  readonly relationship: Relationship;
  readonly bundle: Bundle | undefined;
}

/** A relationship as a message; a mask that is absent lets everything through, the trust domain is always there. */
export function relationshipMessage(
  { trustDomain, bundleEndpointUrl, endpointSpiffeId }: Relationship,
  bundle: Bundle | undefined,
  mask: FederationRelationshipMask | undefined,
): MessageInitShape<typeof FederationRelationshipSchema> {
  const has = (field: 'bundleEndpointUrl' | 'bundleEndpointProfile' | 'trustDomainBundle') =>
    mask === undefined || mask[field];
  return {
    trustDomain,
    bundleEndpointUrl: has('bundleEndpointUrl') ? bundleEndpointUrl : '',
    bundleEndpointProfile: has('bundleEndpointProfile')
      ? endpointSpiffeId === undefined
        ? { case: 'httpsWeb', value: {} }
        : { case: 'httpsSpiffe', value: { endpointSpiffeId } }
      : { case: undefined },
    trustDomainBundle:
      has('trustDomainBundle') && bundle !== undefined ? bundleMessage(bundle, undefined) : undefined,
  };
}

/**
 * Reads the trust domain of a relationship.
 *
 * @throws Error with what is wrong.
 */
export function relationshipTrustDomain(
  message: RelationshipMessage,
  own: TrustDomain,
  verb: string,
): TrustDomain {
  const trustDomain = named('trust domain is not valid', () => parseTrustDomain(message.trustDomain));
  if (trustDomain !== own) return trustDomain;
  throw new Error(`unable to ${verb} federation relationship for server trust domain`);
}

/**
 * Reads those fields of a relationship that a mask names, over `before`; an absent mask names all.
 *
 * @throws Error with what is wrong.
 */
export function relationshipOf(
  message: RelationshipMessage,
  trustDomain: TrustDomain,
  mask: FederationRelationshipMask | undefined,
  before: Relationship | undefined,
): RelationshipInput {
  const url = mask === undefined || mask.bundleEndpointUrl;
  const profile = mask === undefined || mask.bundleEndpointProfile;
  const bundle = mask === undefined || mask.trustDomainBundle;
  return {
    relationship: {
      trustDomain,
      bundleEndpointUrl: url ? urlOf(message.bundleEndpointUrl) : before!.bundleEndpointUrl,
      endpointSpiffeId: profile ? endpointIdOf(message) : before!.endpointSpiffeId,
    },
    bundle: bundle ? inlineBundle(message, trustDomain) : undefined,
  };
}

function urlOf(text: string): string {
  if (text === '') throw new Error('missing bundle endpoint URL');
  return named('bundle endpoint URL is not valid', () => parseEndpointUrl(text).href);
}

function endpointIdOf({ bundleEndpointProfile: profile }: RelationshipMessage): SpiffeId | undefined {
  switch (profile.case) {
    case 'httpsWeb':
      return undefined;
    case 'httpsSpiffe':
      return named('endpoint SPIFFE ID is not valid', () => {
        const id = parseSpiffeId(profile.value.endpointSpiffeId);
        if (pathOf(id) === '') throw new Error(`${id} has no path: no server can present it`);
        return id;
      });
    default:
      throw new Error('missing bundle endpoint profile: https_web or https_spiffe');
  }
}

function inlineBundle(
  { trustDomainBundle }: RelationshipMessage,
  trustDomain: TrustDomain,
): Bundle | undefined {
  if (trustDomainBundle === undefined) return undefined;
  const bundle = named('trust domain bundle is not valid', () => bundleOf(trustDomainBundle));
  if (bundle.trustDomain === trustDomain) return bundle;
  throw new Error(
    `trust domain bundle (${JSON.stringify(bundle.trustDomain)}) must match the trust domain of the federation ` +
      `relationship (${JSON.stringify(trustDomain)})`,
  );
}

function named<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`${what}: ${messageOf(error)}`, { cause: error });
  }
}
