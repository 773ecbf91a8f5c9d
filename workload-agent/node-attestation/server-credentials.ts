// TLS to the identity server, judged by our own verifier. grpc-js hands over the TCP connection before it writes
// anything, and takes back a TLS connection: so nothing is sent, no token above all, to a peer that has not passed.
// (With grpc-js's own TLS the runtime judges first, names no trust domain, and with `rejectUnauthorized: false` does
// not even call `checkServerIdentity` for a chain that it distrusts.)
import { CallCredentials, ChannelCredentials, type experimental } from '@grpc/grpc-js';
import type { Socket } from 'node:net';
import { connect, type SecureContextOptions, type TLSSocket } from 'node:tls';
import { sentChain } from '../../sdk/tls/sent-chain.ts';

/** Options of {@link ServerCredentials}. */
export interface ServerCredentialsOptions {
  /** Judges the chain that the server sent; throws to refuse. */
  readonly verify: (chain: readonly Uint8Array[]) => void;
  /** Certificate and key to present (PEM), or undefined to be anonymous. */
  readonly identity?: SecureContextOptions;
}

const HANDSHAKE_TIMEOUT = 10_000;

/** Credentials of one channel. */
export class ServerCredentials extends ChannelCredentials {
  readonly #options: ServerCredentialsOptions;

  constructor(options: ServerCredentialsOptions) {
    super();
    this.#options = options;
  }

  override _isSecure(): boolean {
    return true;
  }

  // Never shared: a channel that is made anew connects anew.
  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(): experimental.SecureConnector {
    return {
      connect: async (socket) => ({ socket: await this.#handshake(socket), secure: true }),
      waitForReady: async () => {},
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => {},
    };
  }

  #handshake(socket: Socket): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      const tls = connect({
        ...this.#options.identity,
        socket,
        minVersion: 'TLSv1.2', // SPIRE's servers may still offer no more.
        ALPNProtocols: ['h2'],
        // Judged below, in the same turn as the handshake ends; nothing is written or read before.
        rejectUnauthorized: false,
        checkServerIdentity: () => undefined,
      });
      const fail = (error: Error) => {
        clearTimeout(timer);
        tls.destroy();
        socket.destroy();
        reject(error);
      };
      const timer = setTimeout(
        () => fail(new Error(`the TLS handshake took longer than ${HANDSHAKE_TIMEOUT / 1000} s`)),
        HANDSHAKE_TIMEOUT,
      );
      tls.once('error', fail);
      tls.once('close', () => fail(new Error('the server ended the connection during the TLS handshake')));
      tls.once('secureConnect', () => {
        try {
          this.#options.verify(sentChain(tls));
          if (tls.alpnProtocol !== 'h2') throw new Error('the server does not speak HTTP/2');
        } catch (error) {
          fail(error as Error);
          return;
        }
        clearTimeout(timer);
        tls.removeAllListeners('close');
        tls.off('error', fail);
        // grpc-js listens from the next turn on; an error between must not be uncaught.
        tls.on('error', () => {});
        resolve(tls);
      });
    });
  }
}
