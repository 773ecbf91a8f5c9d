// The two slots of one kind of authority: which key signs, and which is next or was before. Pure, with SPIRE's rules of
// what may be done to which.
import type { AuthorityKind, AuthorityRecord, Bundle } from '../store/store.ts';

/** The slots of one server. */
export interface Slots {
  readonly active: AuthorityRecord | undefined;
  /** What the other slot holds: the authority to come, or the one that signed before. */
  readonly other: AuthorityRecord | undefined;
}

/** Why something cannot be done to an authority. */
export class AuthorityError extends Error {
  readonly reason: 'argument' | 'state' | 'uninitialized';
  constructor(reason: AuthorityError['reason'], message: string) {
    super(message);
    this.name = 'AuthorityError';
    this.reason = reason;
  }
}

/** The slots as a journal has them. */
export function slotsOf(
  records: readonly AuthorityRecord[],
  owner: { readonly kind: AuthorityKind; readonly server: string },
): Slots {
  const own = records.filter(({ kind, server }) => kind === owner.kind && server === owner.server);
  const active = own.findLast(({ status }) => status === 'active');
  return { active, other: own.findLast(({ status }) => status !== 'active') };
}

/** The slot that a new key goes to: never that of the key that signs. */
export function freeSlot({ active }: Slots): AuthorityRecord['slot'] {
  return active?.slot === 'A' ? 'B' : 'A';
}

/** The authority that signs. */
export function expectActive({ active }: Slots): AuthorityRecord {
  if (active === undefined) throw new AuthorityError('uninitialized', 'server is initializing');
  return active;
}

/** The authority that `id` names, if it can take over. */
export function expectPrepared(slots: Slots, id: string): AuthorityRecord {
  expectActive(slots);
  const { other } = slots;
  if (id === '') throw new AuthorityError('argument', 'no authority ID provided');
  if (other?.id !== id) throw new AuthorityError('argument', 'unexpected authority ID');
  if (other.status === 'prepared') return other;
  throw new AuthorityError(
    'state',
    `only Prepared authorities can be activated: unsupported local authority status: ${other.status.toUpperCase()}`,
  );
}

/** The authority that `id` names, if it signed before and no longer does. */
export function expectOld(slots: Slots, id: string, verb: 'tainted' | 'revoked'): AuthorityRecord {
  const { other } = slots;
  const active = expectActive(slots);
  if (id === '') throw new AuthorityError('argument', 'no authority ID provided');
  if (id === active.id) {
    const what = verb === 'tainted' ? 'taint' : 'revoke';
    throw new AuthorityError('argument', `unable to ${what} current local authority`);
  }
  if (other?.id !== id) throw new AuthorityError('argument', 'unexpected authority ID');
  if (other.status === 'old') return other;
  throw new AuthorityError(
    'argument',
    `only Old local authorities can be ${verb}: unsupported local authority status: ${other.status.toUpperCase()}`,
  );
}

/** A JWT or WIT key of the bundle that is in no slot of ours, as if it were an old authority. */
export function foreignKey(
  bundle: Bundle | undefined,
  kind: AuthorityKind,
  id: string,
): AuthorityRecord | undefined {
  const keys = kind === 'jwt' ? bundle?.jwtAuthorities : bundle?.witAuthorities;
  const key = keys?.find((candidate) => candidate.id === id);
  if (key === undefined) return undefined;
  return {
    id,
    kind,
    server: '',
    slot: 'A',
    status: 'old',
    issuedAt: 0,
    notAfter: key.expiresAt * 1_000,
    material: key.publicKey,
  };
}
