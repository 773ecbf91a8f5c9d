// What the server remembers, as plain data, and the one interface to it. Implementations hold no rules: what an entry
// may say or who may see it is decided in `entry/`.
import type { SpiffeId, TrustDomain } from '../../sdk/spiffe-id.ts';

/** A fact about a node or a workload, such as `unix` `uid:1000`. */
export interface Selector {
  /** Never holds a colon, so that `type:value` is unambiguous. */
  readonly type: string;
  readonly value: string;
}

/** A registration entry: which workload gets which identity. Times and TTLs are seconds, 0 means none. */
export interface Entry {
  readonly id: string;
  readonly spiffeId: SpiffeId;
  readonly parentId: SpiffeId;
  readonly selectors: readonly Selector[];
  readonly x509SvidTtl: number;
  readonly jwtSvidTtl: number;
  readonly federatesWith: readonly string[];
  readonly admin: boolean;
  readonly downstream: boolean;
  readonly expiresAt: number;
  readonly dnsNames: readonly string[];
  readonly storeSvid: boolean;
  readonly hint: string;
  readonly disableX509SvidPrefetch: boolean;
  readonly jwtSvidIncludeJti: boolean;
  readonly createdAt: number;
  /** 0 at first, one more with each update. */
  readonly revisionNumber: number;
  /** The place in listings: the store's revision at creation. */
  readonly sequence: number;
}

/** An entry before the store has placed it. */
export type NewEntry = Omit<Entry, 'revisionNumber' | 'sequence'>;

/** A node that proved itself. Serials are decimal, as on SPIRE's wire; empty serials mean banned. Times are seconds. */
export interface AttestedNode {
  readonly id: SpiffeId;
  readonly attestationType: string;
  readonly serial: string;
  readonly notAfter: number;
  /** A renewed SVID that was not used yet; empty if there is none. */
  readonly newSerial: string;
  readonly newNotAfter: number;
  readonly selectors: readonly Selector[];
  readonly canReattest: boolean;
  readonly agentVersion: string;
  readonly sequence: number;
}

export type NewNode = Omit<AttestedNode, 'sequence'>;

/** A join token, known by its SHA-256 digest (hexadecimal) alone. */
export interface JoinToken {
  readonly digest: string;
  /** Seconds. */
  readonly expiresAt: number;
}

/** What an authority signs. */
export type AuthorityKind = 'x509' | 'jwt' | 'wit';

/** One line of the authority journal: a signing key of one server. Times are milliseconds. */
export interface AuthorityRecord {
  /** X.509: the subject key identifier, lower-case hexadecimal; JWT and WIT: the key ID. */
  readonly id: string;
  readonly kind: AuthorityKind;
  /** The server that holds the key. */
  readonly server: string;
  readonly slot: 'A' | 'B';
  readonly status: 'prepared' | 'active' | 'old';
  readonly issuedAt: number;
  readonly notAfter: number;
  /** X.509: the certificate; JWT and WIT: the public key (SubjectPublicKeyInfo). DER. */
  readonly material: Uint8Array;
}

/** A certificate of a bundle. */
export interface BundleCertificate {
  /** DER. */
  readonly certificate: Uint8Array;
  /** Whether what it signed is to be replaced at once. */
  readonly tainted: boolean;
}

/** A JWT or WIT key of a bundle. */
export interface BundleKey {
  readonly id: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  /** Seconds; 0 means never. */
  readonly expiresAt: number;
  readonly tainted: boolean;
}

/** The authorities of a trust domain: the own one, or one that is federated with. */
export interface Bundle {
  readonly trustDomain: TrustDomain;
  readonly x509Authorities: readonly BundleCertificate[];
  readonly jwtAuthorities: readonly BundleKey[];
  readonly witAuthorities: readonly BundleKey[];
  /** Seconds; 0 means none. */
  readonly refreshHint: number;
  readonly sequence: bigint;
}

/** The journal of all servers, and the bundle that their authorities stand in. */
export interface AuthorityState {
  /** Oldest first. */
  readonly records: readonly AuthorityRecord[];
  /** The bundle of the own trust domain; undefined before the first authority. */
  readonly bundle: Bundle | undefined;
}

/** Where the bundle of a foreign trust domain is fetched. */
export interface Relationship {
  readonly trustDomain: TrustDomain;
  readonly bundleEndpointUrl: string;
  /** The SPIFFE ID of the endpoint (`https_spiffe`); undefined: the endpoint has a web certificate (`https_web`). */
  readonly endpointSpiffeId: SpiffeId | undefined;
}

/**
 * A place in the change log. The epoch names the transaction that took the revision, at random: where history was
 * rewritten, by restoring a backup or by a failover that lost writes, the same revision has another epoch. So a position
 * is good as long as the log holds exactly it, and cannot be compared with others otherwise.
 */
export interface Position {
  readonly epoch: string;
  readonly revision: number;
}

/** One change, with what stands now; `value` is undefined if it is gone. */
export type Change =
  | {
      readonly revision: number;
      readonly kind: 'entry';
      readonly id: string;
      readonly value: Entry | undefined;
    }
  | {
      readonly revision: number;
      readonly kind: 'node';
      readonly id: SpiffeId;
      readonly value: AttestedNode | undefined;
    }
  | {
      readonly revision: number;
      readonly kind: 'bundle';
      readonly id: TrustDomain;
      readonly value: Bundle | undefined;
    }
  | {
      readonly revision: number;
      readonly kind: 'relationship';
      readonly id: TrustDomain;
      readonly value: Relationship | undefined;
    }
  /** The journal changed; `id` is the kind of authority. */
  | { readonly revision: number; readonly kind: 'authority'; readonly id: string; readonly value: undefined };

/** Everything that an index begins with. */
export interface Snapshot {
  readonly position: Position;
  readonly entries: readonly Entry[];
  readonly nodes: readonly AttestedNode[];
  readonly bundles: readonly Bundle[];
  readonly relationships: readonly Relationship[];
}

/** What to do with entries that federate with a trust domain whose bundle is deleted. */
export type DeleteBundleMode = 'restrict' | 'delete' | 'dissociate';

/** What became of one entry that was to be written. */
export type WriteEntryOutcome =
  | { readonly kind: 'written'; readonly entry: Entry }
  /** Another entry has the same SPIFFE ID, parent and selectors. */
  | { readonly kind: 'similar'; readonly entry: Entry }
  | { readonly kind: 'id-taken' }
  | { readonly kind: 'missing' };

/**
 * The durable state of a server. Each write is one transaction, takes its revisions from one counter in it and adds a
 * row a change to the log, so that commit order is revision order (architecture, decision 4). Join tokens alone are not
 * in the log: nobody keeps a view of them.
 */
export interface Store extends AsyncDisposable {
  snapshot(): Promise<Snapshot>;
  /**
   * Changes after a position, oldest first, at most `limit`. Undefined means that the position is of another history,
   * in the future, or compacted away: take a snapshot.
   */
  changesAfter(
    position: Position,
    limit: number,
  ): Promise<{ readonly position: Position; readonly changes: readonly Change[] } | undefined>;
  /** Calls back after each commit, and when another server may have committed. Returns a function that ends it. */
  subscribe(listener: () => void): () => void;
  /** Drops the log before a revision. */
  compact(revision: number): Promise<void>;

  createEntries(entries: readonly NewEntry[]): Promise<readonly WriteEntryOutcome[]>;
  /** Changes entries as `change` says, all in one transaction, outcomes in order. ID and age stay as they are. */
  updateEntries(
    updates: readonly { readonly id: string; readonly change: (entry: Entry) => Entry }[],
  ): Promise<readonly WriteEntryOutcome[]>;
  /** Which of the entries were there. */
  deleteEntries(ids: readonly string[]): Promise<readonly boolean[]>;

  /** Puts a node in the place of the one with its ID. `judge` sees that one first, and throws to leave it. */
  putNode(node: NewNode, judge?: (before: AttestedNode | undefined) => void): Promise<AttestedNode>;
  /** Changes a node as `change` says; undefined from it leaves the node as it is. */
  updateNode(
    id: SpiffeId,
    change: (node: AttestedNode) => AttestedNode | undefined,
  ): Promise<AttestedNode | undefined>;
  /** Deletes a node together with the given entries. */
  deleteNode(id: SpiffeId, entryIds: readonly string[]): Promise<boolean>;

  /** Keeps a token, with an entry in the same transaction. False: a token of this digest exists. */
  createJoinToken(token: JoinToken, entry?: NewEntry): Promise<boolean>;
  hasJoinToken(digest: string): Promise<boolean>;
  /** Removes a token and returns it: of several callers, one gets it. */
  takeJoinToken(digest: string): Promise<JoinToken | undefined>;
  /** Removes tokens that expired before the given second. */
  deleteJoinTokensExpiredBefore(seconds: number): Promise<number>;

  authorities(): Promise<AuthorityState>;
  /** Changes journal and bundle together, as `change` says; undefined from it leaves both as they are. */
  updateAuthorities(change: (before: AuthorityState) => AuthorityState | undefined): Promise<AuthorityState>;

  /** Makes or changes a bundle, as `change` says; undefined from it leaves it as it is. Returns what stands then. */
  updateBundle(
    trustDomain: TrustDomain,
    change: (before: Bundle | undefined) => Bundle | undefined,
  ): Promise<Bundle | undefined>;
  /** Deletes a bundle. `restrict` leaves it where an entry federates with the trust domain. */
  deleteBundle(
    trustDomain: TrustDomain,
    mode: DeleteBundleMode,
  ): Promise<'deleted' | 'missing' | 'referenced'>;

  /**
   * Makes or changes a relationship, as `change` says; undefined from it leaves it as it is. A bundle that `change`
   * gives is written in the same transaction.
   */
  updateRelationship(
    trustDomain: TrustDomain,
    change: (
      before: Relationship | undefined,
      bundle: Bundle | undefined,
    ) => { readonly relationship: Relationship; readonly bundle?: Bundle } | undefined,
  ): Promise<Relationship | undefined>;
  deleteRelationship(trustDomain: TrustDomain): Promise<boolean>;
}
