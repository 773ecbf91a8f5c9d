// The Workload API: sources that stay fresh, and the client under them.
export { BundleSource, type BundleSourceOptions } from './bundle-source.ts';
export { WorkloadApiClient, type JwtSvidQuery, type UnaryOptions, type WitCallOptions } from './client.ts';
export { ENDPOINT_VARIABLE, workloadApiTarget } from './endpoint.ts';
export { readJwtBundles, readJwtSvids, type ValidatedToken } from './jwt-context.ts';
export { JwtSource, type JwtSourceOptions, type JwtSvidRequest } from './jwt-source.ts';
export type { SourceOptions, StreamEvent } from './stream-watcher.ts';
export { readWitBundles, readWitSvids } from './wit-context.ts';
export { WitSource, type WitSourceOptions } from './wit-source.ts';
export { readX509Bundles, readX509Context, type X509Context } from './x509-context.ts';
export { X509Source, type SourceEvent, type X509SourceOptions } from './x509-source.ts';
