// One connection on Bun: keeps what the raw socket did not take, defers half-close until it did, and bounds the
// order of calls.
import type { RawHandlers, RawSocket } from './bun-api.ts';
import type { Peer, Socket, SocketHandlers, TlsMaterial } from './socket.ts';

export class BunSocket implements Socket {
  readonly remoteAddress: string;
  readonly peer: Peer | undefined;
  readonly material: TlsMaterial | undefined;
  readonly #raw: RawSocket;
  readonly #unsent: Uint8Array[] = [];
  #handlers: SocketHandlers | undefined;
  #ending = false;
  #closed = false;
  #wantsDrain = false;

  constructor(raw: RawSocket, remoteAddress: string, peer?: Peer, material?: TlsMaterial) {
    this.#raw = raw;
    this.remoteAddress = remoteAddress;
    this.peer = peer;
    this.material = material;
  }

  attach(handlers: SocketHandlers): void {
    this.#handlers = handlers;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed || this.#ending) return false;
    if (this.#unsent.length === 0) {
      const taken = this.#raw.write(bytes);
      if (taken === bytes.length) return true;
      this.#unsent.push(taken > 0 ? bytes.subarray(taken) : bytes);
    } else {
      this.#unsent.push(bytes);
    }
    this.#wantsDrain = true;
    return false;
  }

  end(): void {
    if (this.#closed || this.#ending) return;
    this.#ending = true;
    if (this.#unsent.length === 0) this.#raw.shutdown();
  }

  destroy(): void {
    if (this.#closed) return;
    this.#raw.terminate();
    this.onClose(undefined);
  }

  pause(): void {
    if (!this.#closed) this.#raw.pause();
  }

  resume(): void {
    if (!this.#closed) this.#raw.resume();
  }

  onData(bytes: Uint8Array): void {
    if (!this.#closed) this.#handlers?.onData(bytes);
  }

  onEnd(): void {
    if (!this.#closed) this.#handlers?.onEnd();
  }

  onDrain(): void {
    while (this.#unsent.length > 0) {
      const bytes = this.#unsent[0]!;
      const taken = this.#raw.write(bytes);
      if (taken < bytes.length) {
        if (taken > 0) this.#unsent[0] = bytes.subarray(taken);
        return;
      }
      this.#unsent.shift();
    }
    if (this.#closed) return;
    if (this.#ending) this.#raw.shutdown();
    else if (this.#wantsDrain) {
      this.#wantsDrain = false;
      this.#handlers?.onDrain();
    }
  }

  onClose(error: Error | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unsent.length = 0;
    // `terminate` closes in the middle of a caller's method; the owner hears of it after that.
    queueMicrotask(() => this.#handlers?.onClose(error));
  }
}

/** Callbacks that do nothing: Bun wants each to be there. */
export const SILENT: RawHandlers = {
  open() {},
  handshake() {},
  data() {},
  drain() {},
  end() {},
  close() {},
  error() {},
  connectError() {},
};
