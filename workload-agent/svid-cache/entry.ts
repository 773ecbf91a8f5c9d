// What the agent holds for one registration entry.
import type { SpiffeId, TrustDomain } from '../../sdk/spiffe-id.ts';

/** An entry that this agent may fetch SVIDs for. */
export interface WorkloadEntry {
  readonly id: string;
  readonly spiffeId: SpiffeId;
  /** `type:value`, each once. All of them must hold for a workload. */
  readonly selectors: readonly string[];
  readonly federatesWith: readonly TrustDomain[];
  readonly hint: string;
  readonly revision: bigint;
  /** Unix seconds. */
  readonly createdAt: bigint;
  /** For a store on the platform, not for the Workload API. */
  readonly storeSvid: boolean;
}

/** An SVID that was issued for an entry. Times are milliseconds since 1970. */
export interface IssuedX509Svid {
  readonly entryId: string;
  readonly spiffeId: SpiffeId;
  /** The entry as it was when the SVID was issued: another revision asks for another SVID. */
  readonly revision: bigint;
  readonly createdAt: bigint;
  /** DER, leaf first, concatenated. */
  readonly certificates: Uint8Array;
  /** PKCS#8, DER. Never log it. */
  readonly privateKey: Uint8Array;
  readonly serial: string;
  /** The key identifier of the authority that it hangs on, in hexadecimal; empty if it names none. */
  readonly authority: string;
  readonly notAfter: number;
  readonly renewAt: number;
}

/** The X.509 bundles that the agent knows: DER certificates, concatenated. */
export interface AgentBundles {
  readonly trustDomain: TrustDomain;
  readonly own: Uint8Array;
  /** Key identifiers of the own authorities that are not tainted, in the form of `IssuedX509Svid.authority`. */
  readonly untainted: ReadonlySet<string>;
  readonly federated: ReadonlyMap<TrustDomain, Uint8Array>;
}
