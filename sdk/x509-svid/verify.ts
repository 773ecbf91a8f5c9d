// The one verifier of X509-SVIDs, run at every handshake of every program (X509-SVID 5, RFC 5280 6).
// The runtime's own verdict is never enough: it knows nothing of trust domains.
import type { KeyObject } from 'node:crypto';
import { SpiffeError } from '../error.ts';
import type { X509BundleSource } from '../bundle/x509-bundle.ts';
import { parseSpiffeId, pathOf, trustDomainOf, type SpiffeId, type TrustDomain } from '../spiffe-id.ts';
import { parseCertificate, publicKeyOf, type Certificate } from './certificate.ts';
import { hasKeyUsage } from './extensions.ts';
import { allowsNames, SUBJECT_FORM, uriHostOf, type ConstrainedNames } from './name-constraints.ts';
import { isSignedBy } from './signature.ts';

/** The longest chain that is looked at: leaf and intermediates. */
export const MAX_CHAIN_LENGTH = 10;
// A hostile chain may name many look-alike issuers: this bounds the signatures that one handshake can cost.
const MAX_SIGNATURE_CHECKS = 32;

/** What a validated SVID says. Times are milliseconds since 1970. */
export interface VerifiedX509Svid {
  readonly id: SpiffeId;
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** The earliest expiry in the path: a connection must end by then. */
  readonly pathNotAfter: number;
  readonly certificate: Certificate;
  /** The authority that the path ends in. */
  readonly authority: Certificate;
}

/** Options of {@link verifyX509Svid}. */
export interface VerifyOptions {
  /** The time to validate at, in milliseconds since 1970. Default: now. */
  readonly now?: number;
}

/**
 * Validates a certificate chain, as a peer sent it (leaf first, DER), against the bundle of the leaf's own trust
 * domain (X509-SVID 5.1 and 5.2, SPIFFE-ID 3).
 *
 * @throws SpiffeError `ERR_SVID_NOT_AN_SVID`, `ERR_SVID_NO_BUNDLE`, `ERR_SVID_EXPIRED`, `ERR_SVID_NOT_YET_VALID`,
 * `ERR_SVID_UNTRUSTED`, or the parser's `ERR_DER` and `ERR_CERTIFICATE`.
 */
export function verifyX509Svid(
  chain: readonly Uint8Array[],
  bundles: X509BundleSource,
  options: VerifyOptions = {},
): VerifiedX509Svid {
  if (chain.length === 0) throw notAnSvid('no certificate was presented');
  if (chain.length > MAX_CHAIN_LENGTH) {
    throw notAnSvid(`the chain has ${chain.length} certificates; at most ${MAX_CHAIN_LENGTH} are accepted`);
  }
  const [leaf, ...intermediates] = chain.map(parseCertificate) as [Certificate, ...Certificate[]];
  const id = x509SvidIdOf(leaf);
  const bundle = bundles.x509Bundle(trustDomainOf(id));
  if (bundle === undefined || bundle.authorities.length === 0) {
    throw new SpiffeError(
      'ERR_SVID_NO_BUNDLE',
      `${id} is not trusted: there is no bundle for the trust domain ${trustDomainOf(id)}`,
      { detail: { id } },
    );
  }
  const now = options.now ?? Date.now();
  expectCurrent(leaf, id, now);
  const path = findPath(leaf, intermediates, bundle.authorities, now);
  if (path === undefined) {
    throw new SpiffeError(
      'ERR_SVID_UNTRUSTED',
      `${id} is not trusted: its certificate does not lead to an authority of ${trustDomainOf(id)}`,
      { detail: { id, serial: leaf.serial } },
    );
  }
  return {
    id,
    serial: leaf.serial,
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
    pathNotAfter: Math.min(...path.map((certificate) => certificate.notAfter)),
    certificate: leaf,
    authority: path.at(-1)!,
  };
}

/**
 * The SPIFFE ID of a leaf, after every check that needs no bundle (X509-SVID 2, 4, 5.2).
 *
 * @throws SpiffeError `ERR_SVID_NOT_AN_SVID`.
 */
export function x509SvidIdOf(leaf: Certificate): SpiffeId {
  const { subjectAltName, basicConstraints, unknownCritical } = leaf.extensions;
  const uris = subjectAltName?.uris ?? [];
  if (uris.length !== 1) throw notAnSvid(`the certificate has ${uris.length} URI names, not exactly one`);
  let id: SpiffeId;
  try {
    id = parseSpiffeId(uris[0]!);
  } catch (cause) {
    throw notAnSvid(`the certificate's URI name is no SPIFFE ID: ${(cause as Error).message}`, cause);
  }
  if (pathOf(id) === '') throw notAnSvid(`${id} has no path: a trust domain cannot be a workload`);
  if (basicConstraints?.ca === true) throw notAnSvid(`${id} is a signing certificate, not a leaf`);
  if (hasKeyUsage(leaf.extensions, 'keyCertSign') || hasKeyUsage(leaf.extensions, 'cRLSign')) {
    throw notAnSvid(`${id} has a key usage (keyCertSign or cRLSign) that a leaf must not have`);
  }
  if (unknownCritical.length > 0)
    throw notAnSvid(`${id} has unknown critical extensions: ${unknownCritical.join(', ')}`);
  return id;
}

/** The trust domain that a chain claims, without any check: for messages to people only. */
export function claimedTrustDomainOf(chain: readonly Uint8Array[]): TrustDomain | undefined {
  try {
    const uri = parseCertificate(chain[0]!).extensions.subjectAltName?.uris[0];
    return uri === undefined ? undefined : trustDomainOf(parseSpiffeId(uri));
  } catch {
    return undefined;
  }
}

function expectCurrent(leaf: Certificate, id: SpiffeId, now: number): void {
  if (now > leaf.notAfter) {
    throw new SpiffeError('ERR_SVID_EXPIRED', `${id} expired at ${new Date(leaf.notAfter).toISOString()}`, {
      detail: { id, serial: leaf.serial },
    });
  }
  if (now < leaf.notBefore) {
    throw new SpiffeError(
      'ERR_SVID_NOT_YET_VALID',
      `${id} is valid from ${new Date(leaf.notBefore).toISOString()} on: are the clocks right?`,
      { detail: { id, serial: leaf.serial } },
    );
  }
}

/**
 * The path from a certificate, through intermediates, to an authority that vouches for it; undefined if there is none.
 * Of the certificate itself nothing is judged but its signature and its names: that it is current, and good for
 * something, is the caller's to say.
 */
export function findPath(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  authorities: readonly Certificate[],
  now: number,
): Certificate[] | undefined {
  let checks = 0;
  const extend = (path: readonly Certificate[]): Certificate[] | undefined => {
    const subject = path.at(-1)!;
    const below = path.length - 1; // intermediates already between the leaf and the next issuer
    const signs = (issuer: Certificate) =>
      equal(issuer.subject, subject.issuer) &&
      maySign(issuer, below, now) &&
      ++checks <= MAX_SIGNATURE_CHECKS &&
      isSigned(subject, issuer);
    const authority = likelyFirst(authorities, subject).find(
      (issuer) => signs(issuer) && allowsPath([...path, issuer]),
    );
    if (authority !== undefined) return [...path, authority];
    for (const issuer of intermediates) {
      if (path.includes(issuer) || !signs(issuer)) continue;
      const found = extend([...path, issuer]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return extend([leaf]);
}

// An issuer whose key is of no accepted kind signs nothing; another one of the same name still may.
function isSigned(subject: Certificate, issuer: Certificate): boolean {
  let key: KeyObject;
  try {
    key = publicKeyOf(issuer);
  } catch {
    return false;
  }
  return isSignedBy(subject.signatureAlgorithm, subject.tbs, key, subject.signature);
}

// Authorities may share one name: those with the key identifier that the subject asks for come first, so that the limit
// on signature checks is not spent on the others (RFC 5280 4.2.1.1).
function likelyFirst(authorities: readonly Certificate[], subject: Certificate): readonly Certificate[] {
  const wanted = subject.extensions.authorityKeyIdentifier;
  if (wanted === undefined || authorities.length < 2) return authorities;
  const isNamed = ({ extensions: { subjectKeyIdentifier } }: Certificate) =>
    subjectKeyIdentifier !== undefined && equal(subjectKeyIdentifier, wanted);
  return [...authorities.filter(isNamed), ...authorities.filter((authority) => !isNamed(authority))];
}

// RFC 5280 6.1.4 (k) to (n): a key usage, where there is one, must allow signing.
function maySign(issuer: Certificate, below: number, now: number): boolean {
  const { basicConstraints, keyUsage, unknownCritical } = issuer.extensions;
  return (
    basicConstraints?.ca === true &&
    (basicConstraints.pathLength === undefined || basicConstraints.pathLength >= below) &&
    (keyUsage === undefined || hasKeyUsage(issuer.extensions, 'keyCertSign')) &&
    unknownCritical.length === 0 &&
    now >= issuer.notBefore &&
    now <= issuer.notAfter
  );
}

// Name constraints bind everything below, intermediates too (RFC 5280 6.1.4 (g); 6.1.3 (b) spares the self-issued).
function allowsPath(path: readonly Certificate[]): boolean {
  return path.every(({ extensions: { nameConstraints } }, at) => {
    if (at === 0 || nameConstraints === undefined) return true;
    const below = path
      .slice(0, at)
      .filter(({ subject, issuer }, index) => index === 0 || !equal(subject, issuer));
    return below.every((certificate) => allowsNames(nameConstraints, constrainedNamesOf(certificate)));
  });
}

function constrainedNamesOf({ subject, extensions }: Certificate): ConstrainedNames {
  const { uris = [], dnsNames = [], otherForms = [] } = extensions.subjectAltName ?? {};
  const hasSubject = subject.length > 2;
  return {
    uriHosts: uris.map(uriHostOf),
    dnsNames,
    otherForms: new Set(hasSubject ? [...otherForms, SUBJECT_FORM] : otherForms),
  };
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index++) if (left[index] !== right[index]) return false;
  return true;
}

function notAnSvid(problem: string, cause?: unknown): SpiffeError {
  return new SpiffeError('ERR_SVID_NOT_AN_SVID', `not an X509-SVID: ${problem}`, { cause });
}
