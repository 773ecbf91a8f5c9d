// A fetch that speaks mutual TLS and knows whom it calls.
import { SpiffeError } from '../error.ts';
import { MutualTlsAgent, type MutualTlsAgentOptions } from './agent.ts';
import { exchange, type Outgoing } from './exchange.ts';
import { requestBodyOf } from './request-body.ts';

/** Options of {@link createFetch}. */
export interface CreateFetchOptions extends MutualTlsAgentOptions {
  /**
   * Whether a redirect may be followed. Default: to the same host and port only. Wherever it leads, the peer there
   * must pass the same authorizer.
   */
  readonly allowRedirect?: (from: URL, to: URL) => boolean;
}

/** A `fetch` with connections of its own. */
export interface SpiffeFetch extends Disposable {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** Closes all connections; requests under way fail. */
  close(): void;
}

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
// Fetch 2.2.1: names that are upper case however they were written, and names that are refused.
const NORMALIZED = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'POST', 'PUT']);
const FORBIDDEN = new Set(['CONNECT', 'TRACE', 'TRACK']);

/**
 * Makes a `fetch` for `https:` URLs that presents the source's current SVID and accepts only servers that `authorize`
 * accepts, on Node, Bun and Deno. Not a byte of a request leaves before the server is verified.
 *
 * The host of the URL is where to connect; it says nothing about identity. Bodies stream both ways; answers are not
 * decompressed; there are no cookies and no cache. `redirect: 'manual'` gives the redirect itself.
 *
 * The returned function rejects with a SpiffeError if the server is refused (`ERR_SVID_UNEXPECTED_ID` and the codes of
 * `verifyX509Svid`) or there is no SVID to present, with the signal's reason, or with a TypeError as fetch does.
 *
 * @throws TypeError without an authorizer.
 */
export function createFetch(options: CreateFetchOptions): SpiffeFetch {
  if (typeof options.authorize !== 'function')
    throw new TypeError('createFetch needs an authorizer: whom to call');
  const agent = new MutualTlsAgent(options);
  const allowRedirect = options.allowRedirect ?? ((from: URL, to: URL) => from.origin === to.origin);
  const fetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const isStream =
      init.body instanceof ReadableStream || (input instanceof Request && init.body === undefined);
    const request = new Request(input, { ...init, ...(isStream ? { duplex: 'half' } : {}) });
    const headers = new Headers(request.headers);
    // Fetch 6.5 "extract a body": Bun leaves it out.
    if (typeof init.body === 'string' && !headers.has('content-type'))
      headers.set('content-type', 'text/plain;charset=UTF-8');
    let outgoing: Outgoing = {
      method: methodOf(request, init.method),
      url: new URL(request.url),
      headers,
      body: await requestBodyOf(request, isStream),
      signal: init.signal ?? (input instanceof Request ? input.signal : new AbortController().signal),
    };
    if (outgoing.body !== undefined && (outgoing.method === 'GET' || outgoing.method === 'HEAD'))
      throw new TypeError(`a ${outgoing.method} request has no body`);
    for (let redirects = 0; ; redirects++) {
      expectAddress(outgoing.url);
      const response = await exchange(agent, outgoing);
      const location = response.headers.get('location');
      if (!REDIRECTS.has(response.status) || location === null || request.redirect === 'manual') {
        if (redirects > 0) Object.defineProperty(response, 'redirected', { value: true });
        return response;
      }
      await response.body?.cancel();
      if (request.redirect === 'error') throw new TypeError(`the server redirects to ${location}`);
      if (redirects === MAX_REDIRECTS) throw new TypeError(`more than ${MAX_REDIRECTS} redirects`);
      outgoing = redirected(outgoing, response.status, location, allowRedirect);
    }
  };
  const close = () => agent[Symbol.dispose]();
  return Object.assign(fetch, { close, [Symbol.dispose]: close });
}

// As it was asked for: Bun's Request makes GET of every method that it does not know.
function methodOf(request: Request, asked: string | undefined): string {
  if (asked === undefined) return request.method;
  const upper = asked.toUpperCase();
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(asked) || FORBIDDEN.has(upper))
    throw new TypeError('the method is none that fetch can send');
  return NORMALIZED.has(upper) ? upper : asked;
}

// Bun and Deno take a URL with a user and leave the user out.
function expectAddress(url: URL): void {
  if (url.username !== '' || url.password !== '')
    throw new TypeError(`the URL of a request to ${url.host} must not have a user or a password`);
  if (url.protocol !== 'https:') throw new TypeError(`not an https URL: ${url.href}`);
}

// Fetch 4.4, HTTP-redirect fetch.
function redirected(
  from: Outgoing,
  status: number,
  location: string,
  allow: (from: URL, to: URL) => boolean,
): Outgoing {
  const url = URL.parse(location, from.url);
  if (url === null) throw new SpiffeError('ERR_HTTP', 'the server redirects to something that is no URL');
  // Exactly true: a promise, which is what an async function gives, says nothing yet.
  const verdict: unknown = allow(from.url, url);
  if (verdict !== true) throw new TypeError(`the server redirects to ${url.origin}, which is not allowed`);
  const headers = new Headers(from.headers);
  if (url.origin !== from.url.origin) {
    for (const name of ['authorization', 'cookie', 'proxy-authorization']) headers.delete(name);
  }
  const becomesGet =
    (status === 303 && from.method !== 'GET' && from.method !== 'HEAD') ||
    ((status === 301 || status === 302) && from.method === 'POST');
  if (!becomesGet) {
    if (from.body instanceof ReadableStream)
      throw new TypeError('the server redirects a request whose body was a stream');
    return { ...from, url, headers };
  }
  for (const name of ['content-encoding', 'content-language', 'content-location', 'content-type'])
    headers.delete(name);
  return { ...from, url, headers, method: 'GET', body: undefined };
}
