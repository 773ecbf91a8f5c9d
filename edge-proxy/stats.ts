// Counters of one proxy.

/** Counters since the start, as `GET /stats` of the admin listener shows them. */
export interface Stats {
  readonly connections: { accepted: number; refused: number };
  readonly requests: { allow: number; deny: number };
  /** Refused before any layer saw them: not HTTP, or too large. */
  malformed_requests: number;
  /** Decrypted bytes that peers of the mesh sent to inbound listeners. */
  application_bytes_received: number;
  /** Upstreams whose identity was not accepted. */
  upstream_refusals: number;
}

/** Counters at zero. */
export function createStats(): Stats {
  return {
    connections: { accepted: 0, refused: 0 },
    requests: { allow: 0, deny: 0 },
    malformed_requests: 0,
    application_bytes_received: 0,
    upstream_refusals: 0,
  };
}
