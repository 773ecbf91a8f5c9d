// How the bundle of the own trust domain changes. Pure: each function returns the bundle that it was given if nothing
// changes, and otherwise one with the next sequence number (Trust Domain and Bundle 4.1.1).
import { Buffer } from 'node:buffer';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import { hexOf, parseCertificate } from '../../sdk/x509-svid/certificate.ts';
import type { AuthorityKind, Bundle, BundleCertificate, BundleKey } from '../store/store.ts';
import { isPrunable } from './schedule.ts';

/** Authorities that are to be added. */
export interface Additions {
  readonly x509Authorities?: readonly BundleCertificate[];
  readonly jwtAuthorities?: readonly BundleKey[];
  readonly witAuthorities?: readonly BundleKey[];
}

export function emptyBundle(trustDomain: TrustDomain): Bundle {
  return {
    trustDomain,
    x509Authorities: [],
    jwtAuthorities: [],
    witAuthorities: [],
    refreshHint: 0,
    sequence: 0n,
  };
}

/** The name of an X.509 authority: its subject key identifier, or else its serial number; lower-case hexadecimal. */
export function certificateId(der: Uint8Array): string {
  const { extensions, serial } = parseCertificate(der);
  return extensions.subjectKeyIdentifier === undefined ? serial : hexOf(extensions.subjectKeyIdentifier);
}

/** Adds what is not there yet. */
export function withAuthorities(bundle: Bundle, additions: Additions): Bundle {
  const { x509Authorities = [], jwtAuthorities = [], witAuthorities = [] } = additions;
  const certificates = new Set(bundle.x509Authorities.map(({ certificate }) => keyOf(certificate)));
  const newCertificates = uniqueBy(x509Authorities, ({ certificate }) => keyOf(certificate)).filter(
    ({ certificate }) => !certificates.has(keyOf(certificate)),
  );
  const newJwt = newKeys(bundle.jwtAuthorities, jwtAuthorities);
  const newWit = newKeys(bundle.witAuthorities, witAuthorities);
  if (newCertificates.length + newJwt.length + newWit.length === 0) return bundle;
  return next(bundle, {
    x509Authorities: [...bundle.x509Authorities, ...newCertificates],
    jwtAuthorities: [...bundle.jwtAuthorities, ...newJwt],
    witAuthorities: [...bundle.witAuthorities, ...newWit],
  });
}

/** Whether a bundle holds an authority, and if so whether it is tainted. */
export function taintOf(bundle: Bundle | undefined, kind: AuthorityKind, id: string): boolean | undefined {
  if (bundle === undefined) return undefined;
  if (kind === 'x509') {
    return bundle.x509Authorities.find(({ certificate }) => certificateId(certificate) === id)?.tainted;
  }
  return keysOf(bundle, kind).find((key) => key.id === id)?.tainted;
}

/** Marks an authority as tainted. */
export function withTaint(bundle: Bundle, kind: AuthorityKind, id: string): Bundle {
  if (taintOf(bundle, kind, id) !== false) return bundle;
  if (kind === 'x509') {
    return next(bundle, {
      x509Authorities: bundle.x509Authorities.map((authority) =>
        certificateId(authority.certificate) === id ? { ...authority, tainted: true } : authority,
      ),
    });
  }
  const keys = keysOf(bundle, kind).map((key) => (key.id === id ? { ...key, tainted: true } : key));
  return next(bundle, kind === 'jwt' ? { jwtAuthorities: keys } : { witAuthorities: keys });
}

/** Takes an authority out. */
export function withoutAuthority(bundle: Bundle, kind: AuthorityKind, id: string): Bundle {
  if (taintOf(bundle, kind, id) === undefined) return bundle;
  if (kind === 'x509') {
    return next(bundle, {
      x509Authorities: bundle.x509Authorities.filter(({ certificate }) => certificateId(certificate) !== id),
    });
  }
  const keys = keysOf(bundle, kind).filter((key) => key.id !== id);
  return next(bundle, kind === 'jwt' ? { jwtAuthorities: keys } : { witAuthorities: keys });
}

/** Takes out what expired a day ago. A set is never emptied by that: an empty one would revoke everything. */
export function pruned(bundle: Bundle, now: number): Bundle {
  const x509Authorities = bundle.x509Authorities.filter(
    ({ certificate }) => !isPrunable(parseCertificate(certificate), now),
  );
  const alive = (keys: readonly BundleKey[]) =>
    keys.filter(({ expiresAt }) => expiresAt === 0 || !isPrunable({ notAfter: expiresAt * 1_000 }, now));
  const after = {
    x509Authorities: kept(bundle.x509Authorities, x509Authorities),
    jwtAuthorities: kept(bundle.jwtAuthorities, alive(bundle.jwtAuthorities)),
    witAuthorities: kept(bundle.witAuthorities, alive(bundle.witAuthorities)),
  };
  const changed =
    after.x509Authorities.length !== bundle.x509Authorities.length ||
    after.jwtAuthorities.length !== bundle.jwtAuthorities.length ||
    after.witAuthorities.length !== bundle.witAuthorities.length;
  return changed ? next(bundle, after) : bundle;
}

function kept<T>(before: readonly T[], after: readonly T[]): readonly T[] {
  return after.length === 0 ? before : after;
}

function next(bundle: Bundle, changes: Partial<Bundle>): Bundle {
  return { ...bundle, ...changes, sequence: bundle.sequence + 1n };
}

function newKeys(before: readonly BundleKey[], added: readonly BundleKey[]): readonly BundleKey[] {
  const known = new Set(before.map(({ id }) => id));
  return uniqueBy(added, ({ id }) => id).filter(({ id }) => !known.has(id));
}

function keysOf(bundle: Bundle, kind: 'jwt' | 'wit'): readonly BundleKey[] {
  return kind === 'jwt' ? bundle.jwtAuthorities : bundle.witAuthorities;
}

function uniqueBy<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [key(item), item])).values()];
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
