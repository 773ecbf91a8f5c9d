// The codec's one error: a message that breaks RFC 9112, or is larger than we read.

/** A message that is refused. `status` is for the answer, `message` for the log. */
export class HttpError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
  }
}
