// Bundle endpoints for the federation tests: real TLS servers on loopback, whose answers the test decides.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { pemOf } from '../../sdk/x509-svid/pem.ts';
import type { X509Svid } from '../../sdk/x509-svid/x509-svid.ts';

/** What an endpoint answers; text is a bundle with status 200. */
export type Answer = string | ((request: IncomingMessage, response: ServerResponse) => void);

/** A running endpoint. */
export interface Endpoint {
  /** Under the name `localhost`. */
  readonly url: string;
  readonly port: number;
  /** Method and path of each request that came. */
  readonly requests: string[];
  answer: Answer;
  close(): void;
}

const open = new Set<Server>();

/** Starts an endpoint with a certificate; `closeEndpoints` ends it. */
export async function startEndpoint(svid: X509Svid, answer: Answer): Promise<Endpoint> {
  const requests: string[] = [];
  const server = createServer(
    { cert: pemOf('CERTIFICATE', svid.certificates), key: pemOf('PRIVATE KEY', [svid.privateKey]) },
    (request, response) => {
      requests.push(`${request.method} ${request.url}`);
      if (typeof endpoint.answer === 'string') {
        response.setHeader('content-type', 'application/json');
        response.end(endpoint.answer);
      } else endpoint.answer(request, response);
    },
  );
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.add(server);
  const { port } = server.address() as AddressInfo;
  const endpoint: Endpoint = {
    url: `https://localhost:${port}/bundle`,
    port,
    requests,
    answer,
    close: () => end(server),
  };
  return endpoint;
}

/** An answer that redirects. */
export function redirectTo(location: string, status = 302): Answer {
  return (_, response) => {
    response.writeHead(status, { location });
    response.end();
  };
}

/** An answer with a status and a body. */
export function statusOf(status: number, body: string): Answer {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(body);
  };
}

/** Ends every endpoint. */
export function closeEndpoints(): void {
  for (const server of open) end(server);
}

function end(server: Server): void {
  open.delete(server);
  server.close();
  server.closeAllConnections();
}
