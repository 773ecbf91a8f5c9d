// One connection on node:net or node:tls.
import type { Socket as NetSocket } from 'node:net';
import type { Peer, Socket, SocketHandlers, TlsMaterial } from './socket.ts';

/** What TLS found out, and the TCP socket under it. */
export interface Secured {
  readonly peer: Peer;
  readonly material: TlsMaterial;
  readonly raw: NetSocket;
}

export class NodeSocket implements Socket {
  readonly remoteAddress: string;
  readonly peer: Peer | undefined;
  readonly material: TlsMaterial | undefined;
  readonly #stream: NetSocket;
  readonly #rawHandle: ReadHandle | undefined;
  #error: Error | undefined;

  constructor(stream: NetSocket, remoteAddress: string, secured?: Secured) {
    this.#stream = stream;
    this.remoteAddress = remoteAddress;
    this.peer = secured?.peer;
    this.material = secured?.material;
    this.#rawHandle = secured === undefined ? undefined : readHandleOf(secured.raw);
  }

  attach(handlers: SocketHandlers): void {
    const stream = this.#stream;
    stream.on('error', (error) => (this.#error ??= error));
    stream.on('drain', () => handlers.onDrain());
    stream.on('end', () => handlers.onEnd());
    stream.on('close', () => handlers.onClose(this.#error));
    stream.on('data', (bytes: Uint8Array) => handlers.onData(bytes));
  }

  write(bytes: Uint8Array): boolean {
    return this.#stream.destroyed || this.#stream.writableEnded ? false : this.#stream.write(bytes);
  }

  end(): void {
    if (!this.#stream.destroyed) this.#stream.end();
  }

  destroy(): void {
    this.#stream.destroy();
  }

  pause(): void {
    this.#stream.pause();
    if (!this.#stream.destroyed) this.#rawHandle?.readStop();
  }

  resume(): void {
    if (!this.#stream.destroyed) this.#rawHandle?.readStart();
    this.#stream.resume();
  }
}

interface ReadHandle {
  readStop(): void;
  readStart(): void;
}

// Deno reads on from a paused TLS socket, into memory without bound: 48 MB of 48 MB sent. Stopping the TCP handle under
// it does stop the sender, and loses nothing. There is no public way; the contract suite fails if this one goes away.
function readHandleOf(raw: NetSocket): ReadHandle | undefined {
  return 'Deno' in globalThis ? (raw as { _handle?: ReadHandle })._handle : undefined;
}
