// URLs of bundle endpoints, configured or redirected to (Federation 5.2.1.1, 5.2.3): https, no userinfo. Pure.
import { SpiffeError } from '../error.ts';

const MAX_URL_LENGTH = 2_048;

/**
 * Reads the URL of a bundle endpoint.
 *
 * @throws SpiffeError `ERR_FEDERATION` if it is not https, has userinfo (also an empty one) or a fragment, or holds
 * anything that a URL parser would have to tidy up.
 */
export function parseEndpointUrl(text: string): URL {
  if (!/^https:\/\//i.test(text)) throw urlError('must begin with https://');
  return readUrl(text);
}

/**
 * Where a redirect leads. It must itself be a valid endpoint URL: nothing else is followed (5.2.3).
 *
 * @throws SpiffeError `ERR_FEDERATION`.
 */
export function redirectTarget(from: URL, location: string | undefined): URL {
  if (location === undefined || location === '') throw urlError('is missing in a redirect');
  return readUrl(location, from);
}

function readUrl(text: string, base?: URL): URL {
  // Printable ASCII without backslash: the parser strips or rewrites everything else.
  if (text.length > MAX_URL_LENGTH || !/^[\x21-\x5b\x5d-\x7e]+$/.test(text)) {
    throw urlError(`holds a space or another character that no URL has, or is longer than ${MAX_URL_LENGTH}`);
  }
  const [, scheme, authority] = /^(?:([a-z][a-z0-9+.-]*):)?(?:\/\/([^/?#]*))?/i.exec(text)!;
  // The parser takes `https:host` and `https:///host` for `https://host`, and drops an empty userinfo.
  if (authority === '' || (authority === undefined && scheme !== undefined)) throw urlError('has no host');
  if (authority?.includes('@') === true) throw urlError('must not have userinfo');
  if (text.includes('#')) throw urlError('must not have a fragment');
  let url: URL;
  try {
    url = new URL(text, base);
  } catch (cause) {
    throw urlError('is no URL', cause);
  }
  if (url.protocol !== 'https:') throw urlError('must be https: a redirect to anything else is not followed');
  if (url.username !== '' || url.password !== '' || url.hostname === '')
    throw urlError('must not have userinfo');
  return url;
}

function urlError(problem: string, cause?: unknown): SpiffeError {
  return new SpiffeError('ERR_FEDERATION', `the URL of the bundle endpoint ${problem}`, { cause });
}
