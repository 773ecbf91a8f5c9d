// For tests: a source whose answers the test decides, and a server on loopback that counts what it hears.
import type { AddressInfo } from 'node:net';
import type { X509Bundle, X509BundleSource } from '../bundle/x509-bundle.ts';
import type { TrustDomain } from '../spiffe-id.ts';
import type { X509Svid } from '../x509-svid/x509-svid.ts';
import type { GuardedServer } from './server.ts';
import type { TlsSource } from './source.ts';

/** A source that hands out what it was last given. */
export class FixedSource implements TlsSource {
  #svid: X509Svid | Error;
  #bundles: X509BundleSource;
  readonly #listeners = new Set<() => void>();

  constructor(svid: X509Svid | Error, bundles: X509BundleSource) {
    this.#svid = svid;
    this.#bundles = bundles;
  }

  current(): X509Svid {
    if (this.#svid instanceof Error) throw this.#svid;
    return this.#svid;
  }

  x509Bundle(trustDomain: TrustDomain): X509Bundle | undefined {
    return this.#bundles.x509Bundle(trustDomain);
  }

  onUpdate(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Connections and servers that follow this source. */
  get followers(): number {
    return this.#listeners.size;
  }

  set(update: { svid?: X509Svid | Error; bundles?: X509BundleSource }): void {
    this.#svid = update.svid ?? this.#svid;
    this.#bundles = update.bundles ?? this.#bundles;
    for (const listener of this.#listeners) listener();
  }
}

/** Listens on a free port of loopback. */
export async function listening({ server }: Pick<GuardedServer, 'server'>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}
