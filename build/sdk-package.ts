// What is published of `sdk/`, by hand: name, subpaths, dependencies. A subpath is a module of its own, so that an import costs
// what it uses.

/** The name under which the SDK is published. */
export const SDK_NAME = '@sigil/sdk';

/** Subpaths, and the modules below `sdk/` whose exports they have. */
export const SDK_EXPORTS: Readonly<Record<string, readonly string[]>> = {
  '.': ['error.ts', 'spiffe-id.ts', 'spiffe-id-matcher.ts'],
  './workload-api': ['workload-api/index.ts'],
  './x509-svid': ['x509-svid/index.ts'],
  './jwt-svid': [
    'jwt-svid/jwt-svid.ts',
    'jwt-svid/validate.ts',
    'jwt-svid/issue.ts',
    'jwt-svid/signer.ts',
    'jwt-svid/authorization.ts',
  ],
  './wit-svid': [
    'wit-svid/wit-svid.ts',
    'wit-svid/held-wit-svid.ts',
    'wit-svid/issue.ts',
    'wit-svid/present.ts',
    'wit-svid/verify.ts',
  ],
  './bundle': [
    'bundle/spiffe-bundle.ts',
    'bundle/parse-bundle.ts',
    'bundle/serialize-bundle.ts',
    'bundle/bundle-map.ts',
    'bundle/x509-bundle.ts',
    'bundle/jwt-bundle.ts',
    'bundle/wit-bundle.ts',
  ],
  './federation': [
    'federation/relationship.ts',
    'federation/fetch-bundle.ts',
    'federation/federated-bundle-source.ts',
  ],
  './tls': ['tls/index.ts'],
  './fetch': ['fetch/index.ts'],
  './hono': ['hono/index.ts'],
  './grpc': ['grpc/credentials.ts', 'grpc/credentials-server.ts'],
  './postgres': ['postgres/index.ts'],
  './mysql': ['mysql/index.ts'],
};

/** Installed with it, at the versions that it is tested with. */
export const SDK_DEPENDENCIES: readonly string[] = ['@bufbuild/protobuf', '@grpc/grpc-js'];

/** Needed only by the adapter of that name, which the application brings. */
export const SDK_OPTIONAL_PEERS: readonly string[] = ['hono'];

/** The oldest runtimes that have what the code uses. */
export const SDK_ENGINES = { node: '>=22.12', bun: '>=1.2', deno: '>=2.4' };
