// Proof of possession by HTTP message signatures (draft-ietf-wimse-http-signature-03, a profile of RFC 9421).
import { randomBytes } from 'node:crypto';
import { base64Of, base64urlOf } from '../../json/base64.ts';
import { WIT_FIELD } from '../experimental.ts';
import {
  FieldMap,
  proofError,
  type ProofOfPossession,
  type ProofOptions,
  type WitRequest,
} from '../proof-of-possession.ts';
import { createReplayGuard } from '../replay-guard.ts';
import { httpSignature, isHttpSignature } from './algorithm.ts';
import { CONTENT_DIGEST, contentDigestOf, expectContentDigest } from './content-digest.ts';
import { componentNames, signatureBaseOf } from './signature-base.ts';
import {
  innerListText,
  parseDictionary,
  type SfBareItem,
  type SfItem,
  type SfParameters,
} from './structured-fields.ts';

/** The field that holds the signature. */
export const SIGNATURE = 'signature';
/** The field that says what was signed. */
export const SIGNATURE_INPUT = 'signature-input';
/** The tag of the profile. */
export const WIMSE_TAG = 'wimse-workload-to-workload';

const LABEL = 'wimse';
const MAX_NONCE_LENGTH = 256;
/** Fields that must be signed where they are there (draft 3). */
const SIGNED_IF_PRESENT = ['content-type', CONTENT_DIGEST, 'authorization', 'txn-token', WIT_FIELD];

/** Options of {@link httpSignatureProof}. */
export interface HttpSignatureOptions extends ProofOptions {
  /**
   * Whether `@authority` or `@target-uri` must be signed. The draft does not ask for it; but a WIT-SVID names no
   * audience, so a signature over method and path alone can be replayed by the service that received it to any other.
   * Default `required`; `optional` for peers that sign what the draft lists and no more. Ours always signs it.
   */
  readonly authority?: 'required' | 'optional';
}

/** Proof of possession by HTTP message signatures. */
export function httpSignatureProof(options: HttpSignatureOptions = {}): ProofOfPossession {
  const { lifetime = 60_000, maxLifetime = 300_000, leeway = 30_000, authority = 'required' } = options;
  const replay = options.replay === undefined ? createReplayGuard() : options.replay;
  return {
    name: 'HTTP message signature',
    isPresent: (fields) => fields.has(SIGNATURE) || fields.has(SIGNATURE_INPUT),
    async prove(request, given, held, now) {
      const digest = digestLines(request, given);
      const fields = new FieldMap([...request.headers, ...digest]);
      const components = ['@method', '@request-target', '@authority', ...presentFields(fields)].map(item);
      const parameters = new Map<string, SfBareItem>([
        ['created', Math.floor(now / 1_000)],
        ['expires', Math.floor((now + lifetime) / 1_000)],
        ['nonce', base64urlOf(randomBytes(16))],
        ['tag', WIMSE_TAG],
      ]);
      const base = signatureBaseOf(request, fields, components, parameters);
      const signature = httpSignature(held.confirmationAlgorithm, base, held.privateKey);
      return [
        ...digest,
        [SIGNATURE_INPUT, `${LABEL}=${innerListText(components, parameters)}`],
        [SIGNATURE, `${LABEL}=:${base64Of(signature)}:`],
      ];
    },
    verify(request, fields, wit, now) {
      const { components, parameters, signature } = readSignature(fields);
      expectCovered(componentNames(components), request, fields, authority);
      const { nonce, expiresAt } = readParameters(parameters, now, leeway, maxLifetime);
      const base = signatureBaseOf(request, fields, components, parameters);
      if (!isHttpSignature(wit.confirmationAlgorithm, base, wit.confirmationKey, signature)) {
        throw proofError('the signature is not by the key of the WIT-SVID, or not over this request');
      }
      if (fields.has(CONTENT_DIGEST)) {
        expectContentDigest(fields.all(CONTENT_DIGEST).join(', '), request.body ?? new Uint8Array());
      }
      if (replay !== null && !replay.isFirstUse(`sig ${wit.id} ${nonce}`, expiresAt + leeway, now)) {
        throw proofError('it was used before');
      }
    },
  };
}

function item(value: string): SfItem {
  return { value, parameters: new Map() };
}

function presentFields(fields: FieldMap): readonly string[] {
  return SIGNED_IF_PRESENT.filter((name) => fields.has(name));
}

function digestLines(request: WitRequest, fields: FieldMap): readonly (readonly [string, string])[] {
  const { body } = request;
  if (body === undefined || body.length === 0 || fields.has(CONTENT_DIGEST)) return [];
  return [[CONTENT_DIGEST, contentDigestOf(body)]];
}

// One signature, or of several the one under the label of the profile (draft 3).
function readSignature(fields: FieldMap): {
  readonly components: readonly SfItem[];
  readonly parameters: SfParameters;
  readonly signature: Uint8Array;
} {
  const inputs = parseDictionary(fields.all(SIGNATURE_INPUT).join(', '));
  const signatures = parseDictionary(fields.all(SIGNATURE).join(', '));
  const label = inputs.size === 1 ? [...inputs.keys()][0]! : LABEL;
  const input = inputs.get(label);
  const signature = signatures.get(label);
  if (input === undefined || !('items' in input)) throw proofError(`signature-input has no member ${LABEL}`);
  if (signature === undefined || !('value' in signature) || !(signature.value instanceof Uint8Array)) {
    throw proofError('signature has no member for that of signature-input');
  }
  return { components: input.items, parameters: input.parameters, signature: signature.value };
}

function expectCovered(
  names: readonly string[],
  request: WitRequest,
  fields: FieldMap,
  authority: 'required' | 'optional',
): void {
  const covers = (...any: readonly string[]) => {
    if (!any.some((name) => names.includes(name))) throw proofError(`${any.join(' or ')} is not signed`);
  };
  covers('@method');
  covers('@request-target', '@target-uri');
  if (authority === 'required') covers('@authority', '@target-uri');
  covers(WIT_FIELD);
  for (const name of presentFields(fields)) covers(name);
  if (request.body !== undefined && request.body.length > 0) covers(CONTENT_DIGEST);
}

function readParameters(
  parameters: SfParameters,
  now: number,
  leeway: number,
  maxLifetime: number,
): { readonly nonce: string; readonly expiresAt: number } {
  const [created, expires, nonce] = ['created', 'expires', 'nonce'].map((name) => parameters.get(name));
  if (parameters.has('keyid') || parameters.has('alg'))
    throw proofError('keyid and alg are for the WIT-SVID to say');
  if (parameters.get('tag') !== WIMSE_TAG) throw proofError(`its tag is not ${WIMSE_TAG}`);
  if (
    typeof created !== 'number' ||
    typeof expires !== 'number' ||
    typeof nonce !== 'string' ||
    nonce === ''
  ) {
    throw proofError('it lacks created, expires or nonce');
  }
  // Nonces are remembered: this bounds what one costs.
  if (nonce.length > MAX_NONCE_LENGTH) throw proofError('its nonce is too long');
  if (!(now >= created * 1_000 - leeway))
    throw proofError('it was made in the future: are the clocks right?');
  if (!(now < expires * 1_000 + leeway)) throw proofError('it has expired');
  if ((expires - created) * 1_000 > maxLifetime) throw proofError('it is valid for too long');
  return { nonce, expiresAt: expires * 1_000 };
}
