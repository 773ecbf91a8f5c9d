// Mutual TLS by SPIFFE ID: connect, listen, authorize.
export {
  authorizeAny,
  authorizeId,
  authorizeMemberOf,
  authorizeOneOf,
  type Authorizer,
  type IdAuthorizer,
} from './authorizer.ts';
export { connectTls, type ConnectTlsOptions, type TlsTarget } from './connect.ts';
export {
  guardTlsServer,
  type GuardTlsServerOptions,
  type TlsGuard,
  type TlsRefusal,
} from './guard-server.ts';
export {
  tlsClientOptions,
  tlsServerOptions,
  type MutualTlsOptions,
  type TlsClientOptions,
  type TlsServerOptions,
} from './options.ts';
export {
  createHttpsServer,
  createTlsServer,
  peerOfRequest,
  type CreateTlsServerOptions,
  type GuardedServer,
  type GuardedServerOptions,
} from './server.ts';
export type { TlsSource, X509SvidSource } from './source.ts';
export { peerOf, reverify, tlsConnectionOf, type TlsConnection } from './supervise.ts';
export { verifyPeer, type VerifyPeerOptions } from './verify-peer.ts';
