// The connection to the identity server. It is made anew after a failure and whenever this agent's SVID changes.
import type { SecureContextOptions } from 'node:tls';
import { GrpcClient } from '../../sdk/grpc/client.ts';
import { ServerCredentials } from './server-credentials.ts';

/** Milliseconds that a call to the server may take. */
export const RPC_TIMEOUT = 15_000;

/** Options of {@link ServerConnection}. */
export interface ServerConnectionOptions {
  /** `address:port`. */
  readonly target: string;
  readonly verify: (chain: readonly Uint8Array[]) => void;
  /** This agent's certificate and key, if it has them. Asked at each dial. */
  readonly identity: () => SecureContextOptions | undefined;
}

const CHANNEL_OPTIONS = {
  // A failed connection is dropped by us, so the channel's own back-off (up to two minutes) never gets to work.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.enable_http_proxy': 0,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.default_authority': 'identity-server',
};

export class ServerConnection implements Disposable {
  readonly #options: ServerConnectionOptions;
  #client: GrpcClient | undefined;

  constructor(options: ServerConnectionOptions) {
    this.#options = options;
  }

  /** The connection that stands, or a new one. */
  client(): GrpcClient {
    this.#client ??= this.#dial(this.#options.identity());
    return this.#client;
  }

  /** A connection of its own that presents no certificate, for attestation. Close it. */
  anonymousClient(): GrpcClient {
    return this.#dial(undefined);
  }

  /** Drops the connection: the next call dials. */
  drop(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  [Symbol.dispose](): void {
    this.drop();
  }

  #dial(identity: SecureContextOptions | undefined): GrpcClient {
    const credentials = new ServerCredentials({ verify: this.#options.verify, identity });
    return new GrpcClient(this.#options.target, credentials, CHANNEL_OPTIONS);
  }
}
