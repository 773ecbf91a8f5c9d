// A stream that a database driver may use at once, while the connection behind it is still being made and verified.
import { Duplex } from 'node:stream';

/** A verified connection, with what happens to bytes on their way if they must change. */
export interface Channel {
  readonly socket: Duplex;
  readonly toServer?: (bytes: Uint8Array) => Uint8Array;
  readonly toClient?: (bytes: Uint8Array) => Uint8Array;
}

interface Held {
  readonly bytes: Uint8Array;
  readonly done: (error?: Error | null) => void;
}

/**
 * What is written waits until the channel is open, and is lost, never sent, if opening fails: the stream is then destroyed
 * with the error. Emits `connect` when it is open.
 */
export abstract class DeferredStream extends Duplex {
  #channel: Channel | undefined;
  #held: Held | undefined;
  #taker: ((bytes: Uint8Array) => void) | undefined;

  /** Starts opening; called once. */
  protected start(open: () => Promise<Channel>): void {
    open().then(
      (channel) => this.#attach(channel),
      (error: Error) => this.destroy(error),
    );
  }

  /** The next bytes that the driver writes, which then count as written. For a dialogue before the channel is open. */
  protected takeWrite(): Promise<Uint8Array> {
    return new Promise((resolve) => {
      this.#taker = resolve;
      this.#offer();
    });
  }

  // What drivers call on a socket. Connections are made with TCP_NODELAY, and live as long as the stream does.
  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#held = { bytes: chunk, done };
    this.#offer();
  }

  override _read(): void {
    this.#channel?.socket.resume();
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#channel === undefined) this.destroy();
    else this.#channel.socket.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#channel?.socket.destroy();
    this.#held = undefined;
    done(error);
  }

  #attach(channel: Channel): void {
    const { socket, toClient } = channel;
    if (this.destroyed) {
      socket.destroy();
      return;
    }
    this.#channel = channel;
    socket.on('data', (bytes: Uint8Array) => {
      try {
        if (!this.push(toClient === undefined ? bytes : toClient(bytes))) socket.pause();
      } catch (error) {
        this.destroy(error as Error);
      }
    });
    socket.on('end', () => this.push(null));
    socket.on('error', (error: Error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    this.emit('connect');
    this.#offer();
  }

  #offer(): void {
    const held = this.#held;
    if (held === undefined) return;
    if (this.#channel !== undefined) {
      this.#held = undefined;
      const { socket, toServer } = this.#channel;
      socket.write(toServer === undefined ? held.bytes : toServer(held.bytes), held.done);
    } else if (this.#taker !== undefined) {
      const taker = this.#taker;
      this.#taker = this.#held = undefined;
      taker(held.bytes);
      held.done();
    }
  }
}
