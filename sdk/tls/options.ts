// What the runtime's TLS is told. The runtime does the handshake and checks that the peer owns its key; whom to trust is
// decided by our verifier alone (verify-peer.ts), which is why nothing here asks the runtime to judge certificates.
import { createSecureContext, type SecureContext, type SecureVersion } from 'node:tls';
import type { X509Svid } from '../x509-svid/x509-svid.ts';
import { pemOf } from '../x509-svid/pem.ts';
import type { Authorizer } from './authorizer.ts';
import type { TlsSource } from './source.ts';

/** What both ends of a mutual TLS connection need. */
export interface MutualTlsOptions {
  /** Our SVID, and the bundles that the peer is verified against. */
  readonly source: TlsSource;
  /** Who may be at the other end. There is no default. */
  readonly authorize: Authorizer;
  /** The oldest version to speak. Default `TLSv1.3`; `TLSv1.2` for peers outside the mesh. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** Ends a connection when the peer's SVID, or an authority above it, expires. Default true. */
  readonly endAtExpiry?: boolean;
  /** Verifies open connections anew after every update of the source, so that a withdrawn CA ends them. Default true. */
  readonly endAtWithdrawal?: boolean;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: () => number;
}

/** Options for `tls.connect`. See {@link tlsClientOptions}. */
export interface TlsClientOptions {
  readonly secureContext: SecureContext;
  readonly rejectUnauthorized: false;
  readonly checkServerIdentity: () => undefined;
  readonly minVersion: SecureVersion;
  readonly ALPNProtocols?: string[];
}

/** Options for `tls.createServer`, `https.createServer` and `http2.createSecureServer`. See {@link tlsServerOptions}. */
export interface TlsServerOptions extends ReturnType<typeof contextOptions> {
  readonly requestCert: true;
  readonly rejectUnauthorized: false;
  readonly handshakeTimeout: number;
  readonly ALPNProtocols?: string[];
}

// `SSL_OP_NO_TICKET`: every connection proves itself anew, where the runtime listens to it (Deno does not).
const NO_TICKETS = 1 << 14;
const HANDSHAKE_TIMEOUT = 10_000;

/**
 * Options that present our SVID as a client. They verify nothing: use `connectTls`, which does, wherever you can; where
 * a library insists on calling `tls.connect` itself, call `verifyPeer` before the first byte.
 *
 * @throws what `source.current()` throws: without an SVID there is no connection.
 */
export function tlsClientOptions(
  options: Pick<MutualTlsOptions, 'source' | 'minVersion'>,
  alpn?: readonly string[],
): TlsClientOptions {
  const { source, minVersion = 'TLSv1.3' } = options;
  return {
    secureContext: secureContextOf(source.current(), minVersion),
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    minVersion,
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
  };
}

/**
 * Options that present our SVID as a server and ask clients for theirs. They verify nothing: give the server to
 * `guardTlsServer` before it listens.
 *
 * @throws what `source.current()` throws.
 */
export function tlsServerOptions(
  options: Pick<MutualTlsOptions, 'source' | 'minVersion'> & { readonly handshakeTimeout?: number },
  alpn?: readonly string[],
): TlsServerOptions {
  return {
    ...contextOptions(options.source.current(), options.minVersion ?? 'TLSv1.3'),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout: options.handshakeTimeout ?? HANDSHAKE_TIMEOUT,
    ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
  };
}

/** Certificate, key and version of a server, in the form of `tls.Server.setSecureContext`. */
export function contextOptions(svid: X509Svid, minVersion: SecureVersion) {
  return {
    cert: pemOf('CERTIFICATE', svid.certificates),
    key: pemOf('PRIVATE KEY', [svid.privateKey]),
    // No roots: trust is the verifier's alone, and none is appended to the chain that the peer sent.
    ca: [],
    minVersion,
    secureOptions: NO_TICKETS,
  };
}

const contexts = new WeakMap<X509Svid, Map<SecureVersion, SecureContext>>();

function secureContextOf(svid: X509Svid, minVersion: SecureVersion): SecureContext {
  const known = contexts.get(svid) ?? new Map<SecureVersion, SecureContext>();
  contexts.set(svid, known);
  let context = known.get(minVersion);
  if (context === undefined) {
    context = createSecureContext(contextOptions(svid, minVersion));
    known.set(minVersion, context);
  }
  return context;
}
