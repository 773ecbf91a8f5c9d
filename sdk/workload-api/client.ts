// The seven calls of the Workload API (SPIFFE Workload API 5 to 7), each with the header that the endpoint demands
// (Workload Endpoint 3, WE-04). Streams give messages as they come; sources keep what they say.
import { credentials, status } from '@grpc/grpc-js';
import {
  SpiffeWorkloadAPI,
  type JWTBundlesResponse,
  type WITBundlesResponse,
  type WITSVIDResponse,
  type X509BundlesResponse,
  type X509SVIDResponse,
} from '../api/gen/spiffe/workload/workload_pb.ts';
import type { Experimental } from '../bundle/spiffe-bundle.ts';
import { messageOf, SpiffeError } from '../error.ts';
import { GrpcClient, type CallOptions } from '../grpc/client.ts';
import type { JwtSvid } from '../jwt-svid/jwt-svid.ts';
import type { SpiffeId } from '../spiffe-id.ts';
import { expectWitEnabled } from '../wit-svid/experimental.ts';
import { workloadApiTarget } from './endpoint.ts';
import { readJwtSvids, readValidation, type ValidatedToken } from './jwt-context.ts';

const METADATA = { 'workload.spiffe.io': 'true' } as const;

/** Options of a unary call. */
export interface UnaryOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds. Default 30,000. */
  readonly timeout?: number;
}

/** What JWT-SVIDs are asked for. */
export interface JwtSvidQuery {
  /** At least one, none empty: all of them become the token's `aud`. */
  readonly audience: string | readonly string[];
  /** Which identity. Default: all of this workload's. */
  readonly id?: SpiffeId;
}

/** A connection to the Workload API. */
export class WorkloadApiClient implements Disposable {
  readonly #client: GrpcClient;

  /**
   * @param endpoint A URI; default: `SPIFFE_ENDPOINT_SOCKET`.
   * @throws SpiffeError `ERR_ENDPOINT`.
   */
  constructor(endpoint?: string) {
    this.#client = new GrpcClient(workloadApiTarget(endpoint), credentials.createInsecure(), {
      // The endpoint is local: a proxy named in the environment must never see it.
      'grpc.enable_http_proxy': 0,
    });
  }

  /** X509-SVIDs and bundles: the complete state at once, and again after every change. */
  fetchX509Svid(signal?: AbortSignal): AsyncGenerator<X509SVIDResponse, void, undefined> {
    return this.#client.serverStream(SpiffeWorkloadAPI.method.fetchX509SVID, {}, optionsOf({ signal }));
  }

  /** X.509 bundles alone: for whoever validates and has no identity. */
  fetchX509Bundles(signal?: AbortSignal): AsyncGenerator<X509BundlesResponse, void, undefined> {
    return this.#client.serverStream(SpiffeWorkloadAPI.method.fetchX509Bundles, {}, optionsOf({ signal }));
  }

  /** JWT bundles: the complete state at once, and again after every change. */
  fetchJwtBundles(signal?: AbortSignal): AsyncGenerator<JWTBundlesResponse, void, undefined> {
    return this.#client.serverStream(SpiffeWorkloadAPI.method.fetchJWTBundles, {}, optionsOf({ signal }));
  }

  /**
   * JWT-SVIDs for an audience, one an identity; the first is the default. `JwtSource` does the same and keeps them.
   *
   * @throws SpiffeError `ERR_NO_IDENTITY` if this workload has none (or not the one asked for), `ERR_WORKLOAD_API`;
   * TypeError without an audience.
   */
  async fetchJwtSvids(
    query: JwtSvidQuery,
    options: UnaryOptions = {},
  ): Promise<readonly [JwtSvid, ...JwtSvid[]]> {
    const audience = typeof query.audience === 'string' ? [query.audience] : [...query.audience];
    if (audience.length === 0 || audience.some((value) => typeof value !== 'string' || value === '')) {
      throw new TypeError('a JWT-SVID needs an audience, and no empty one');
    }
    const request = { audience, spiffeId: query.id ?? '' };
    const response = await this.#client
      .unary(SpiffeWorkloadAPI.method.fetchJWTSVID, request, optionsOf(options))
      .catch(rethrow);
    return readJwtSvids(response, { audience, id: query.id });
  }

  /**
   * Has the endpoint validate a token that a peer presented (WAPI-50: better than one's own validation, where there is
   * an endpoint).
   *
   * @throws SpiffeError `ERR_SVID_UNTRUSTED` if the endpoint says no, `ERR_WORKLOAD_API` if it cannot say; TypeError without an
   * audience or a token.
   */
  async validateJwtSvid(
    token: string,
    audience: string,
    options: UnaryOptions = {},
  ): Promise<ValidatedToken> {
    if (typeof audience !== 'string' || audience === '') throw new TypeError('validating needs an audience');
    if (typeof token !== 'string' || token === '') throw new TypeError('there is no token to validate');
    const response = await this.#client
      .unary(SpiffeWorkloadAPI.method.validateJWTSVID, { audience, svid: token }, optionsOf(options))
      .catch((error: unknown) => {
        if (grpcCodeOf(error) !== status.INVALID_ARGUMENT) return rethrow(error);
        throw new SpiffeError(
          'ERR_SVID_UNTRUSTED',
          `the Workload API refuses the token: ${messageOf(error)}`,
          { cause: error },
        );
      });
    return readValidation(response, audience);
  }

  /**
   * WIT-SVIDs with their keys (Incubating): the complete state at once, and again after every change.
   *
   * @throws TypeError without the experimental switch.
   */
  fetchWitSvid(options: WitCallOptions): AsyncGenerator<WITSVIDResponse, void, undefined> {
    expectWitEnabled(options);
    const request = { spiffeId: options.id ?? '' };
    return this.#client.serverStream(SpiffeWorkloadAPI.method.fetchWITSVID, request, optionsOf(options));
  }

  /**
   * WIT bundles (Incubating): the complete state at once, and again after every change.
   *
   * @throws TypeError without the experimental switch.
   */
  fetchWitBundles(options: Omit<WitCallOptions, 'id'>): AsyncGenerator<WITBundlesResponse, void, undefined> {
    expectWitEnabled(options);
    return this.#client.serverStream(SpiffeWorkloadAPI.method.fetchWITBundles, {}, optionsOf(options));
  }

  /** Closes the connection; calls under way fail. */
  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Options of the WIT calls. */
export interface WitCallOptions {
  readonly experimental: Experimental;
  readonly signal?: AbortSignal;
  /** Which identity. Default: all of this workload's. */
  readonly id?: SpiffeId;
}

/** The gRPC status code of what was thrown, if it has one. */
export function grpcCodeOf(thrown: unknown): number | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number'
    ? thrown.code
    : undefined;
}

function optionsOf({ signal, timeout }: UnaryOptions): CallOptions {
  return {
    metadata: METADATA,
    ...(signal === undefined ? {} : { signal }),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

function rethrow(error: unknown): never {
  const code = grpcCodeOf(error) === status.PERMISSION_DENIED ? 'ERR_NO_IDENTITY' : 'ERR_WORKLOAD_API';
  throw new SpiffeError(code, `the Workload API refused the call: ${messageOf(error)}`, { cause: error });
}
