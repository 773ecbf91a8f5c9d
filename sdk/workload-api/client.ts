// The Workload API's calls, with the header that each must carry (Workload Endpoint 3, WE-04).
import { credentials } from '@grpc/grpc-js';
import { SpiffeWorkloadAPI, type X509SVIDResponse } from '../api/gen/spiffe/workload/workload_pb.ts';
import { GrpcClient } from '../grpc/client.ts';
import { workloadApiTarget } from './endpoint.ts';

const METADATA = { 'workload.spiffe.io': 'true' } as const;

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

  /** Messages with the complete state, the first at once and one after every change. */
  fetchX509Svid(signal?: AbortSignal): AsyncGenerator<X509SVIDResponse, void, undefined> {
    return this.#client.serverStream(
      SpiffeWorkloadAPI.method.fetchX509SVID,
      {},
      { metadata: METADATA, ...(signal === undefined ? {} : { signal }) },
    );
  }

  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
