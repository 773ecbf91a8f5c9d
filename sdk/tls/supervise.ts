// What happens to a connection after its handshake: it ends when the peer's SVID does, or when it is no longer trusted.
import { Buffer } from 'node:buffer';
import { clearTimeout, setTimeout } from 'node:timers';
import type { TLSSocket } from 'node:tls';
import type { X509BundleSource } from '../bundle/x509-bundle.ts';
import { SpiffeError } from '../error.ts';
import { trustDomainOf } from '../spiffe-id.ts';
import type { X509Svid } from '../x509-svid/x509-svid.ts';
import type { VerifiedX509Svid } from '../x509-svid/verify.ts';
import { expectNoVerdict } from './authorizer.ts';
import type { MutualTlsOptions } from './options.ts';
import { sentChain } from './sent-chain.ts';
import { verifyChain } from './verify-peer.ts';

/** What is known of an open connection. */
export interface TlsConnection {
  /** Who is at the other end, as verified at the handshake. */
  readonly peer: VerifiedX509Svid;
  /** What we presented. */
  readonly svid: X509Svid;
}

interface Supervision extends TlsConnection {
  reverify(): boolean;
}

const supervised = new WeakMap<object, Supervision>();
// A timer waits at most 2^31 - 1 milliseconds; a longer one is set again.
const LONGEST_TIMER = 2 ** 31 - 1;

/** The verified peer and our SVID of a connection made or accepted by this module; undefined for any other object. */
export function tlsConnectionOf(socket: object): TlsConnection | undefined {
  return supervised.get(socket);
}

/** The verified peer of a connection made or accepted by this module; undefined for any other object. */
export function peerOf(socket: object): VerifiedX509Svid | undefined {
  return supervised.get(socket)?.peer;
}

/**
 * Verifies the peer of an open connection anew, against the bundles, the time and the authorizer of now. If it fails, the
 * connection is destroyed with the verifier's error.
 *
 * @returns whether the connection stands.
 * @throws TypeError if the connection was not made or accepted by this module.
 */
export function reverify(socket: object): boolean {
  const supervision = supervised.get(socket);
  if (supervision === undefined) throw new TypeError('not a connection that this module verified');
  return supervision.reverify();
}

/**
 * Verifies a connection whose handshake is done and watches over it until it closes. Synchronous.
 *
 * @throws SpiffeError if the peer is refused; the caller then destroys the socket.
 */
export function supervise(socket: TLSSocket, svid: X509Svid, options: MutualTlsOptions): TlsConnection {
  const { source, now = Date.now } = options;
  const chain = sentChain(socket);
  const peer = verifyChain(chain, options);
  // The end that we bring about ourselves must not become an uncaught exception; 'close' tells the owner anyway.
  socket.on('error', () => undefined);
  const supervision: Supervision = {
    peer,
    svid,
    reverify() {
      if (socket.destroyed) return false;
      try {
        if (stillLeadsTo(peer, source, now())) expectNoVerdict(options.authorize(peer.id, peer));
        else verifyChain(chain, options);
        return true;
      } catch (error) {
        socket.destroy(error as Error);
        return false;
      }
    },
  };
  supervised.set(socket, supervision);
  if (options.endAtExpiry ?? true) endAt(socket, peer, now);
  if (options.endAtWithdrawal ?? true) {
    const unsubscribe = source.onUpdate?.(() => supervision.reverify());
    if (unsubscribe !== undefined) socket.once('close', unsubscribe);
  }
  return supervision;
}

// Without signatures: the path that was verified stands as long as its authority and its times do. Thousands of
// connections are looked at in one go when a bundle changes.
function stillLeadsTo(peer: VerifiedX509Svid, source: X509BundleSource, now: number): boolean {
  const { der } = peer.authority;
  const authorities = source.x509Bundle(trustDomainOf(peer.id))?.authorities ?? [];
  return (
    now <= peer.pathNotAfter && authorities.some((authority) => Buffer.compare(authority.der, der) === 0)
  );
}

function endAt(socket: TLSSocket, peer: VerifiedX509Svid, now: () => number): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = () => {
    const left = peer.pathNotAfter - now();
    if (left < 0) {
      socket.destroy(
        new SpiffeError('ERR_SVID_EXPIRED', `the SVID of ${peer.id} expired: its connection ends`, {
          detail: { id: peer.id, serial: peer.serial },
        }),
      );
      return;
    }
    timer = setTimeout(wait, Math.min(left + 1, LONGEST_TIMER));
    timer.unref();
  };
  wait();
  socket.once('close', () => clearTimeout(timer));
}
