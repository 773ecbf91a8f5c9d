// The agent's half of a node attestor: what it sends to prove the node, and how it answers challenges.

/** One attempt to prove the node. Its bytes are secret: they go to the server and nowhere else. */
export interface NodeAttestation {
  /** The bytes of AttestationData.payload. */
  readonly payload: Uint8Array;
  /** Answers a challenge of the server. Absent: this attestor knows no challenges. */
  readonly answer?: (challenge: Uint8Array) => Promise<Uint8Array>;
}

/** The agent's half of a node attestor. */
export interface NodeAttestorAgent {
  /** AttestationData.type, such as `join_token`. */
  readonly name: string;
  /** Whether the same proof may be given again, or what to do so that a new one exists (for the log). */
  readonly renewal: { readonly kind: 'repeatable' } | { readonly kind: 'manual'; readonly advice: string };
  /**
   * Begins an attempt.
   *
   * @throws Error that says what is missing; it never holds the proof itself.
   */
  begin(): Promise<NodeAttestation>;
}
