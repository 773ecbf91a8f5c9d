// The server's half of a node attestor: what a node sent becomes a path and selectors, or is refused.

/** A fact about a node that an attestor vouches for, such as `x509pop` `subject:cn:node-1`. */
export interface NodeSelector {
  /** The attestor's type. Never holds a colon. */
  readonly type: string;
  readonly value: string;
}

/** What a node proved to be. */
export interface NodeAttestation {
  /** The path of the agent's SPIFFE ID; begins with `/spire/agent/<type>/`. */
  readonly agentPath: string;
  readonly selectors: readonly NodeSelector[];
  /** Whether the node can prove itself again at any time; if not, a lost SVID needs a new proof from an operator. */
  readonly canReattest: boolean;
}

/** Where a node calls from. */
export interface NodePeer {
  /** An IP address. */
  readonly address: string;
}

/** Verifies the proofs of one type. */
export interface NodeAttestorServer {
  /** The type of attestation data, such as `join_token`. */
  readonly type: string;
  /**
   * Judges a payload, of a node that calls from `peer`, if that is known. What is yielded goes to the node as a challenge, and what `next` is given is the answer.
   *
   * @throws RpcError, whose message the node's operator sees: it must not repeat the payload.
   */
  attest(payload: Uint8Array, peer?: NodePeer): AsyncGenerator<Uint8Array, NodeAttestation, Uint8Array>;
}
