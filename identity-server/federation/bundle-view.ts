// The bundles as everybody reads them: in memory, certificates and keys parsed once, following the store's change log.
import { Buffer } from 'node:buffer';
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { SpiffeBundle } from '../../sdk/bundle/spiffe-bundle.ts';
import type { X509Bundle, X509BundleSource } from '../../sdk/bundle/x509-bundle.ts';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import { parseCertificate, type Certificate } from '../../sdk/x509-svid/certificate.ts';
import type { Bundle, BundleKey, Relationship } from '../store/store.ts';

interface Held {
  readonly bundle: Bundle;
  readonly x509: X509Bundle;
}

export class BundleView implements X509BundleSource {
  readonly #bundles = new Map<TrustDomain, Held>();
  readonly #relationships = new Map<TrustDomain, Relationship>();

  /** The bundle of a trust domain, as it is kept. */
  bundle(trustDomain: TrustDomain): Bundle | undefined {
    return this.#bundles.get(trustDomain)?.bundle;
  }

  /** All bundles in the order of their trust domains, the own one among them. */
  bundles(): readonly Bundle[] {
    return [...this.#bundles.values()].map(({ bundle }) => bundle).sort(byTrustDomain);
  }

  relationship(trustDomain: TrustDomain): Relationship | undefined {
    return this.#relationships.get(trustDomain);
  }

  /** All relationships in the order of their trust domains. */
  relationships(): readonly Relationship[] {
    return [...this.#relationships.values()].sort(byTrustDomain);
  }

  x509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return this.#bundles.get(trustDomain)?.x509;
  }

  /** Whether an authority is (still) in the bundle of a trust domain. */
  isTrusted(trustDomain: TrustDomain, authority: Certificate): boolean {
    return this.x509Bundle(trustDomain)?.authorities.includes(authority) ?? false;
  }

  setBundle(trustDomain: TrustDomain, bundle: Bundle | undefined): void {
    if (bundle === undefined) this.#bundles.delete(trustDomain);
    else this.#bundles.set(trustDomain, held(bundle, this.#bundles.get(trustDomain)));
  }

  setRelationship(trustDomain: TrustDomain, relationship: Relationship | undefined): void {
    if (relationship === undefined) this.#relationships.delete(trustDomain);
    else this.#relationships.set(trustDomain, relationship);
  }

  /** Begins anew from a snapshot. Certificates that stay are the same objects as before. */
  reset(bundles: readonly Bundle[], relationships: readonly Relationship[]): void {
    const names = new Set(bundles.map(({ trustDomain }) => trustDomain));
    for (const name of this.#bundles.keys()) if (!names.has(name)) this.#bundles.delete(name);
    for (const bundle of bundles) this.setBundle(bundle.trustDomain, bundle);
    this.#relationships.clear();
    for (const relationship of relationships) this.setRelationship(relationship.trustDomain, relationship);
  }
}

// A certificate that stays in the bundle stays the same object: callers who were verified by it are recognised by that.
function held(bundle: Bundle, before: Held | undefined): Held {
  const known = new Map(before?.x509.authorities.map((authority) => [keyOf(authority.der), authority]));
  const authorities = bundle.x509Authorities.map(
    ({ certificate }) => known.get(keyOf(certificate)) ?? parseCertificate(certificate),
  );
  return { bundle, x509: { trustDomain: bundle.trustDomain, authorities } };
}

/** A bundle as the SDK has it. */
export function spiffeBundleOf(bundle: Bundle): SpiffeBundle {
  return {
    trustDomain: bundle.trustDomain,
    x509Authorities: bundle.x509Authorities.map(({ certificate }) => parseCertificate(certificate)),
    jwtAuthorities: keysOf(bundle.jwtAuthorities),
    witAuthorities: keysOf(bundle.witAuthorities),
    sequence: bundle.sequence,
    refreshHint: bundle.refreshHint,
  };
}

function keysOf(keys: readonly BundleKey[]): ReadonlyMap<string, KeyObject> {
  return new Map(
    keys.map(({ id, publicKey }) => [
      id,
      createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' }),
    ]),
  );
}

function keyOf(der: Uint8Array): string {
  return Buffer.from(der).toString('base64');
}

function byTrustDomain(left: { trustDomain: TrustDomain }, right: { trustDomain: TrustDomain }): number {
  return left.trustDomain < right.trustDomain ? -1 : 1;
}
