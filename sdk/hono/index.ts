// Hono: who calls, and serving over mutual TLS.
export { bearerJwtSvid, type BearerOptions, type BearerVariables } from './bearer.ts';
export { nodePeer, spiffePeer, type PeerVariables, type SpiffePeerOptions } from './peer.ts';
export { serveHono, type FetchApp, type NodeBindings, type ServeHonoOptions } from './serve.ts';
