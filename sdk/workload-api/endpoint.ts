// Where the Workload API is (SPIFFE Workload Endpoint 4): a URI with the scheme unix or tcp.
import { isIP } from 'node:net';
import { SpiffeError } from '../error.ts';

/** The variable that names the endpoint when nothing else does. */
export const ENDPOINT_VARIABLE = 'SPIFFE_ENDPOINT_SOCKET';

/**
 * The gRPC target of an endpoint URI; without one, that of `SPIFFE_ENDPOINT_SOCKET`.
 *
 * @throws SpiffeError `ERR_ENDPOINT` if neither names a valid endpoint.
 */
export function workloadApiTarget(endpoint?: string): string {
  const uri = endpoint ?? globalThis.process?.env[ENDPOINT_VARIABLE];
  if (uri === undefined || uri === '') {
    throw endpointError(
      '',
      `no Workload API endpoint: set ${ENDPOINT_VARIABLE}, such as unix:///run/sigil/agent.sock`,
    );
  }
  // Schemes are case-insensitive (RFC 3986 3.1).
  const scheme = /^(unix|tcp):/i.exec(uri)?.[1]?.toLowerCase();
  if (scheme === 'unix') return unixTarget(uri);
  if (scheme === 'tcp') return tcpTarget(uri);
  throw endpointError(uri, 'must begin with unix: or tcp://');
}

// `unix:///abs` and `unix:/abs`: an authority, as in `unix://host/abs`, must not be set (Workload Endpoint 4).
function unixTarget(uri: string): string {
  const rest = uri.slice('unix:'.length);
  const path = rest.startsWith('//') ? rest.slice(2) : rest;
  if (!path.startsWith('/') || path.startsWith('//'))
    throw endpointError(uri, 'needs an absolute path and no host');
  if (/[?#]/.test(path)) throw endpointError(uri, 'must have no query and no fragment');
  return `unix:${path}`;
}

function tcpTarget(uri: string): string {
  const match = /^tcp:\/\/(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(uri);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  const family = isIP(host);
  if (match === null || family !== (match[1] === undefined ? 4 : 6) || port < 1 || port > 65_535) {
    throw endpointError(
      uri,
      'must be an IP address and a port and nothing else, such as tcp://127.0.0.1:8080',
    );
  }
  return family === 6 ? `ipv6:[${host}]:${port}` : `ipv4:${host}:${port}`;
}

function endpointError(uri: string, problem: string): SpiffeError {
  return new SpiffeError(
    'ERR_ENDPOINT',
    uri === '' ? problem : `Workload API endpoint ${JSON.stringify(uri)}: ${problem}`,
  );
}
