// What a registration entry may say. Pure; the messages are those that operators know from SPIRE.
import { Buffer } from 'node:buffer';
import { isMemberOf, pathOf, type SpiffeId, type TrustDomain } from '../../sdk/spiffe-id.ts';
import type { Selector } from '../store/store.ts';

/** An entry that cannot be kept. The message is for the caller. */
export class InvalidEntryError extends Error {
  readonly code = 'ERR_INVALID_ENTRY';
  constructor(message: string) {
    super(message);
    this.name = 'InvalidEntryError';
  }
}

/** The fields that the rules look at. */
export interface EntryFields {
  readonly id: string;
  readonly spiffeId: SpiffeId;
  readonly parentId: SpiffeId;
  readonly selectors: readonly Selector[];
  readonly x509SvidTtl: number;
  readonly jwtSvidTtl: number;
  readonly expiresAt: number;
  readonly dnsNames: readonly string[];
  readonly storeSvid: boolean;
  readonly hint: string;
  readonly disableX509SvidPrefetch: boolean;
}

const MAX_HINT_BYTES = 1_024;
const MAX_ID_BYTES = 255;
// What X.509 can say, and well within what numbers hold exactly.
const LATEST_EXPIRY = 253_402_300_799;
const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i;

/**
 * Checks an entry that is about to be written.
 *
 * @throws InvalidEntryError with the first problem.
 */
export function validateEntry(entry: EntryFields, trustDomain: TrustDomain): void {
  if (!/^[-._A-Za-z0-9]{0,255}$/.test(entry.id)) {
    throw new InvalidEntryError(
      entry.id.length > MAX_ID_BYTES
        ? `entry ID is longer than ${MAX_ID_BYTES} characters`
        : 'entry ID contains invalid characters: use A-Z a-z 0-9 - . _',
    );
  }
  expectWorkloadId(entry.spiffeId, trustDomain);
  expectMember(entry.parentId, trustDomain, 'parent ID');
  if (entry.selectors.length === 0) throw new InvalidEntryError('selector list is empty');
  for (const selector of entry.selectors) validateSelector(selector);
  if (entry.x509SvidTtl < 0) throw new InvalidEntryError('X509SVID TTL must not be negative');
  if (entry.jwtSvidTtl < 0) throw new InvalidEntryError('JWTSVID TTL must not be negative');
  if (entry.expiresAt < 0) throw new InvalidEntryError('expiry must not be negative');
  if (entry.expiresAt > LATEST_EXPIRY) throw new InvalidEntryError('expiry is after the year 9999');
  validateDnsNames(entry.dnsNames);
  if (Buffer.byteLength(entry.hint) > MAX_HINT_BYTES) {
    throw new InvalidEntryError(`hint is too long, max length is ${MAX_HINT_BYTES} characters`);
  }
  if (entry.storeSvid) {
    if (new Set(entry.selectors.map(({ type }) => type)).size > 1) {
      throw new InvalidEntryError('selector types must be the same when store SVID is enabled');
    }
    if (entry.disableX509SvidPrefetch) {
      throw new InvalidEntryError('X509-SVID prefetch must not be disabled when store SVID is enabled');
    }
  }
}

/** Checks a selector. */
export function validateSelector({ type, value }: Selector): void {
  if (type === '') throw new InvalidEntryError('missing selector type');
  if (type.includes(':')) throw new InvalidEntryError("selector type contains ':'");
  if (value === '') throw new InvalidEntryError('missing selector value');
}

function expectMember(id: SpiffeId, trustDomain: TrustDomain, what: string): void {
  if (!isMemberOf(id, trustDomain)) {
    throw new InvalidEntryError(
      `invalid ${what}: ${JSON.stringify(id)} is not a member of trust domain ${JSON.stringify(trustDomain)}`,
    );
  }
  if (pathOf(id) === '') {
    throw new InvalidEntryError(`invalid ${what}: ${JSON.stringify(id)} is a trust domain ID; path is empty`);
  }
}

// `/spire` names the servers and agents themselves: an entry for one would hand out their identity.
function expectWorkloadId(id: SpiffeId, trustDomain: TrustDomain): void {
  expectMember(id, trustDomain, 'spiffe ID');
  const path = pathOf(id);
  if (path === '/spire' || path.startsWith('/spire/')) {
    throw new InvalidEntryError(
      `invalid spiffe ID: ${JSON.stringify(id)} is not a workload in trust domain ${JSON.stringify(trustDomain)}; ` +
        'path is in the reserved namespace',
    );
  }
}

/** Checks the DNS names of an SVID. */
export function validateDnsNames(names: readonly string[]): void {
  for (const name of names) {
    const labels = name.replace(/^\*\./, '').split('.');
    if (name === '' || name.length > 253 || !labels.every((label) => LABEL.test(label))) {
      throw new InvalidEntryError(`invalid DNS name: ${JSON.stringify(name)}`);
    }
  }
  for (const wildcard of names.filter((name) => name.startsWith('*.'))) {
    const parent = wildcard.slice(1).toLowerCase();
    const covered = names.find(
      (name) =>
        name !== wildcard &&
        name.toLowerCase().endsWith(parent) &&
        !name.slice(0, -parent.length).includes('.'),
    );
    if (covered !== undefined) {
      throw new InvalidEntryError(
        `invalid DNS name: the wildcard ${JSON.stringify(wildcard)} overlaps with ${JSON.stringify(covered)}`,
      );
    }
  }
}
