// JWT- and WIT-SVIDs: minted by administrators, issued to agents for entries that they may serve.
import { randomUUID, type KeyObject } from 'node:crypto';
import { Buffer } from 'node:buffer';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { RpcError } from '../../daemon/grpc/rpc-error.ts';
import { messageOf } from '../../sdk/error.ts';
import type {
  BatchNewWITSVIDResponse_ResultSchema,
  MintJWTSVIDRequest,
  MintWITSVIDRequest,
  NewJWTSVIDRequest,
  NewWITSVIDParams,
} from '../../sdk/api/gen/spire/api/server/svid/v1/svid_pb.ts';
import { algorithmFits, isJwsAlgorithm, type JwsAlgorithm } from '../../sdk/jwt-svid/algorithm.ts';
import { readPublicKey } from '../../sdk/x509-svid/public-key.ts';
import type { CertificateAuthority, SignedToken } from '../ca/certificate-authority.ts';
import type { Entry } from '../store/store.ts';
import { agentIdOf, type Context } from './caller.ts';
import { failure, idMessage, OK, reading, workloadIdOf } from './convert.ts';
import type { ServiceOptions } from './services.ts';

type WitResult = MessageInitShape<typeof BatchNewWITSVIDResponse_ResultSchema>;

/** JWTSVID and WITSVID have the same fields. */
interface TokenMessage {
  readonly token: string;
  readonly id: ReturnType<typeof idMessage>;
  readonly issuedAt: bigint;
  readonly expiresAt: bigint;
}

const MAX_AUDIENCES = 128;
const MAX_AUDIENCE_LENGTH = 2_048;

/** Refuses what has to do with JWT-SVIDs where they are switched off. */
export function expectJwt(ca: Pick<CertificateAuthority, 'jwt'>): void {
  if (ca.jwt === undefined) throw new RpcError('UNIMPLEMENTED', 'JWT functionality is disabled');
}

/** Refuses what has to do with WIT-SVIDs unless they are switched on. */
export function expectWit(ca: Pick<CertificateAuthority, 'wit'>): void {
  if (ca.wit === undefined) throw new RpcError('UNIMPLEMENTED', 'WIT-SVIDs are experimental and not enabled');
}

export async function mintJwt(
  { id, audience, ttl }: MintJWTSVIDRequest,
  options: ServiceOptions,
): Promise<TokenMessage> {
  expectJwt(options.ca);
  const audiences = audienceOf(audience);
  const workload = reading('invalid SPIFFE ID', () => workloadIdOf(id, options.trustDomain));
  const signed = await options.ca.signJwt({
    id: workload,
    audience: audiences,
    ttl: ttlOf(ttl, options.defaultJwtSvidTtl),
  });
  return tokenMessage(signed);
}

export async function newJwt(
  { entryId, audience }: NewJWTSVIDRequest,
  context: Context,
  options: ServiceOptions,
): Promise<TokenMessage & { readonly hint: string }> {
  expectJwt(options.ca);
  const audiences = audienceOf(audience);
  if (entryId === '') throw new RpcError('INVALID_ARGUMENT', 'missing entry ID');
  const entry = options.registry.authorizedEntries(agentIdOf(context)).get(entryId);
  if (entry === undefined) throw new RpcError('NOT_FOUND', 'entry not found or not authorized');
  const signed = await options.ca.signJwt({
    id: entry.spiffeId,
    audience: audiences,
    ttl: ttlOf(entry.jwtSvidTtl, options.defaultJwtSvidTtl),
    tokenId: entry.jwtSvidIncludeJti ? randomTokenId() : undefined,
  });
  return { ...tokenMessage(signed), hint: entry.hint };
}

export async function mintWit(
  { id, publicKey, ttl, signingAlgorithm }: MintWITSVIDRequest,
  options: ServiceOptions,
): Promise<TokenMessage> {
  expectWit(options.ca);
  const workload = reading('invalid SPIFFE ID', () => workloadIdOf(id, options.trustDomain));
  const held = reading(undefined, () => heldKeyOf(publicKey, signingAlgorithm));
  const signed = await options.ca.signWit({
    id: workload,
    ...held,
    ttl: ttlOf(ttl, options.defaultJwtSvidTtl),
  });
  return tokenMessage(signed);
}

export async function newWit(
  { entryId, publicKey, signingAlgorithm }: NewWITSVIDParams,
  entries: ReadonlyMap<string, Entry>,
  options: ServiceOptions,
): Promise<WitResult> {
  if (entryId === '') return { status: failure('INVALID_ARGUMENT', 'missing entry ID') };
  const entry = entries.get(entryId);
  if (entry === undefined) return { status: failure('NOT_FOUND', 'entry not found or not authorized') };
  let held: ReturnType<typeof heldKeyOf>;
  try {
    held = heldKeyOf(publicKey, signingAlgorithm);
  } catch (error) {
    return { status: failure('INVALID_ARGUMENT', messageOf(error)) };
  }
  const ttl = ttlOf(entry.jwtSvidTtl, options.defaultJwtSvidTtl);
  const signed = await options.ca.signWit({ id: entry.spiffeId, ...held, ttl });
  return { status: OK, svid: { ...tokenMessage(signed), hint: entry.hint } };
}

/** Milliseconds of a TTL in seconds; 0 takes the default. */
export function ttlOf(seconds: number, fallback: number): number {
  if (seconds < 0) throw new RpcError('INVALID_ARGUMENT', 'the TTL must not be negative');
  return seconds > 0 ? seconds * 1_000 : fallback;
}

// Empty values are dropped, as in SPIRE; of nothing but those there is no audience.
function audienceOf(audience: readonly string[]): string[] {
  const values = audience.filter((value) => value !== '');
  if (values.length === 0) throw new RpcError('INVALID_ARGUMENT', 'at least one audience is required');
  if (values.length > MAX_AUDIENCES || values.some(({ length }) => length > MAX_AUDIENCE_LENGTH)) {
    throw new RpcError(
      'INVALID_ARGUMENT',
      `at most ${MAX_AUDIENCES} audiences of ${MAX_AUDIENCE_LENGTH} characters are accepted`,
    );
  }
  return values;
}

function heldKeyOf(publicKey: Uint8Array, algorithm: string): { key: KeyObject; algorithm: JwsAlgorithm } {
  if (publicKey.length === 0) throw new Error('missing public key');
  if (!isJwsAlgorithm(algorithm)) throw new Error('signing algorithm is not one of RS*, PS* and ES*');
  const key = readPublicKey(publicKey, 'ERR_CSR');
  if (!algorithmFits(algorithm, key))
    throw new Error(`signing algorithm ${algorithm} cannot use the public key`);
  return { key, algorithm };
}

function tokenMessage({ token, id, issuedAt, expiresAt }: SignedToken): TokenMessage {
  return { token, id: idMessage(id), issuedAt: BigInt(issuedAt), expiresAt: BigInt(expiresAt) };
}

// A random UUID (version 4), base64url, as SPIRE has it.
function randomTokenId(): string {
  return Buffer.from(randomUUID().replaceAll('-', ''), 'hex').toString('base64url');
}
