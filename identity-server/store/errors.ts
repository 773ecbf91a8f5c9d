// What a store throws when it cannot do its work. Callers can try again; nothing else is their business.

/** The database cannot be reached or cannot write now. The message is fit for callers, the cause for the log. */
export class StoreUnavailableError extends Error {
  readonly code = 'ERR_STORE_UNAVAILABLE';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreUnavailableError';
  }
}
