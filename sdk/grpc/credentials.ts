// gRPC over mutual TLS: channel credentials for clients of grpc-js.
import { CallCredentials, ChannelCredentials, type ChannelOptions, type experimental } from '@grpc/grpc-js';
import { connectTls } from '../tls/connect.ts';
import type { MutualTlsOptions } from '../tls/options.ts';

/**
 * Channel credentials that present the source's current SVID on each new connection and accept only servers that
 * `authorize` accepts. No call is written before the server is verified; one that is refused leaves the channel
 * UNAVAILABLE.
 *
 * Not `credentials.createSsl`: that fixes certificate and roots for the life of the channel, has the runtime judge
 * them by host name, and asks its `checkServerIdentity` nothing when a session is resumed. Here the connection is made
 * by `connectTls`, so targets may be IP addresses, and `grpc.ssl_target_name_override` is not needed.
 *
 * @throws TypeError without an authorizer.
 */
export function grpcClientCredentials(options: MutualTlsOptions): ChannelCredentials {
  if (typeof options.authorize !== 'function')
    throw new TypeError('grpcClientCredentials needs an authorizer: whom to call');
  return new SpiffeChannelCredentials(options);
}

// grpc-js has every credential extend this class; its underscored methods are the contract with the channel.
class SpiffeChannelCredentials extends ChannelCredentials {
  readonly #options: MutualTlsOptions;

  constructor(options: MutualTlsOptions) {
    super();
    this.#options = options;
  }

  _isSecure(): boolean {
    return true;
  }

  _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  _createSecureConnector(
    _target: unknown,
    _options: ChannelOptions,
    callCredentials?: CallCredentials,
  ): experimental.SecureConnector {
    return {
      connect: async (socket) => ({
        socket: await connectTls({ ...this.#options, target: { socket }, alpn: ['h2'] }),
        secure: true,
      }),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials ?? CallCredentials.createEmpty(),
      destroy() {},
    };
  }
}
