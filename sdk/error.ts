// The one error family of the SDK: hostile or broken input is a SpiffeError with a stable code;
// misuse by the programmer is a TypeError.

/** Every code a {@link SpiffeError} can carry. Codes are stable: they may be added to, never renamed. */
export type SpiffeErrorCode =
  | 'ERR_SPIFFE_ID'
  | 'ERR_TRUST_DOMAIN'
  | 'ERR_DER'
  | 'ERR_CERTIFICATE'
  | 'ERR_CSR'
  | 'ERR_PRIVATE_KEY'
  | 'ERR_SVID_NOT_AN_SVID'
  | 'ERR_SVID_EXPIRED'
  | 'ERR_SVID_NOT_YET_VALID'
  | 'ERR_SVID_UNTRUSTED'
  | 'ERR_SVID_NO_BUNDLE'
  | 'ERR_SVID_UNEXPECTED_ID'
  | 'ERR_SVID_AUDIENCE'
  | 'ERR_SVID_PROOF'
  | 'ERR_JSON'
  | 'ERR_BUNDLE'
  | 'ERR_FEDERATION'
  | 'ERR_POLICY'
  | 'ERR_ENDPOINT'
  | 'ERR_WORKLOAD_API'
  | 'ERR_NO_IDENTITY'
  | 'ERR_TLS'
  | 'ERR_HTTP';

/** Facts about a failure, for logs and callers. Never keys or tokens. */
export type SpiffeErrorDetail = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * Broken, hostile or untrusted input.
 *
 * `code` is for programs, `message` for people (what happened, where, what to do), `detail` holds the data to act
 * on: an ID, an offset, a peer.
 */
export class SpiffeError extends Error {
  readonly code: SpiffeErrorCode;
  readonly detail: SpiffeErrorDetail;

  constructor(
    code: SpiffeErrorCode,
    message: string,
    options: { cause?: unknown; detail?: SpiffeErrorDetail } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SpiffeError';
    this.code = code;
    this.detail = options.detail ?? {};
  }
}

/** The message of anything that was thrown, for a log line. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
