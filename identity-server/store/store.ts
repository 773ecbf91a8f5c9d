// What the server remembers, as plain data, and the one interface to it. Implementations hold no rules: what an entry
// may say or who may see it is decided in `entry/`.
import type { SpiffeId } from '../../sdk/spiffe-id.ts';

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

/** One line of the authority journal. Times are milliseconds. */
export interface AuthorityRecord {
  /** The subject key identifier, lower-case hexadecimal. */
  readonly id: string;
  readonly slot: 'A' | 'B';
  readonly status: 'prepared' | 'active' | 'old';
  readonly issuedAt: number;
  readonly notAfter: number;
  /** DER. */
  readonly certificate: Uint8Array;
}

/** The journal, and the number of the bundle that it amounts to. */
export interface AuthorityJournal {
  /** Grows whenever the set of certificates changes. */
  readonly bundleSequence: number;
  readonly records: readonly AuthorityRecord[];
}

/** A place in the change log. Revisions of different epochs cannot be compared. */
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
  | { readonly revision: number; readonly kind: 'authority'; readonly id: string; readonly value: undefined };

/** Everything that an index begins with. */
export interface Snapshot {
  readonly position: Position;
  readonly entries: readonly Entry[];
  readonly nodes: readonly AttestedNode[];
}

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
   * Changes after a position, oldest first, at most `limit`. Undefined means that the position is of another epoch, in
   * the future, or compacted away: take a snapshot.
   */
  changesAfter(
    position: Position,
    limit: number,
  ): Promise<{ readonly position: Position; readonly changes: readonly Change[] } | undefined>;
  /** Calls back after each commit. Returns a function that ends it. */
  subscribe(listener: () => void): () => void;
  /** Drops the log up to and with a revision. */
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

  authorities(): Promise<AuthorityJournal>;
  /** Replaces the journal. */
  saveAuthorities(records: readonly AuthorityRecord[]): Promise<AuthorityJournal>;
}
