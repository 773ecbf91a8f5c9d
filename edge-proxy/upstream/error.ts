// Why an upstream gave no response.

/** No response came. `status` is for the answer, `message` for the log. */
export class UpstreamError extends Error {
  readonly status: 502 | 503 | 504;
  /** Whether the connection ended before anything of a response came: then another one may be tried. */
  readonly unanswered: boolean;

  constructor(
    status: 502 | 503 | 504,
    message: string,
    options: { readonly cause?: unknown; readonly unanswered?: boolean } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'UpstreamError';
    this.status = status;
    this.unanswered = options.unanswered ?? false;
  }
}
