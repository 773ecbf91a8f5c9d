// What the log says of failures and of this agent's name: short, the same each time for the same cause, nothing secret.
import { messageOf } from '../../sdk/error.ts';

/** The cause in an error of a call to the server, without grpc-js's wrapping and times. */
export function failureText(error: unknown): string {
  const { details } = error as { details?: unknown };
  const text = typeof details === 'string' && details !== '' ? details : messageOf(error);
  return withoutToken(
    text
      .replace(/^No connection established\. Last error: (?:\w*Error: )?/, '')
      .replace(/\.? ?Resolution note: ?$/, '')
      .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)/, ''),
  );
}

/**
 * A name or message that can be logged: SPIRE's server makes the (spent) join token the last segment of the agent's ID.
 * Ours puts a digest there, which stays legible.
 */
export function withoutToken(text: string): string {
  return text.replace(
    /(\/spire\/agent\/join_token\/)([a-zA-Z0-9._-]+)/g,
    (whole, path: string, last: string) =>
      /^[0-9a-f]{32}$/.test(last) ? whole : `${path}${last.slice(0, 4)}...`,
  );
}
