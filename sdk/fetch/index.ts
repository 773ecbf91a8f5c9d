// fetch over mutual TLS.
export { MutualTlsAgent, type MutualTlsAgentOptions } from './agent.ts';
export { createFetch, type CreateFetchOptions, type SpiffeFetch } from './create-fetch.ts';
