// What TLS asks of an identity: sources and not values, so that rotation is never a special case.
import type { X509BundleSource } from '../bundle/x509-bundle.ts';
import type { X509Svid } from '../x509-svid/x509-svid.ts';

/** Where the SVID that we present comes from. `X509Source` is one. */
export interface X509SvidSource {
  /** The SVID to present now. Throws if there is none, or none that is still valid: nothing is then presented. */
  current(): X509Svid;
  /**
   * Calls the listener after every change of SVID or bundles; the returned function ends that. With it, rotation and
   * the withdrawal of a CA reach open connections at once. Without it, new handshakes still use what is current, but
   * open connections are looked at only when `reverify` is called.
   */
  onUpdate?(listener: () => void): () => void;
}

/** An identity to present and the bundles to judge peers by. */
export type TlsSource = X509SvidSource & X509BundleSource;
