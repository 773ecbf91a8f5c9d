// Socket handlers that remember what they were told, and check the order.
import type { Socket, SocketHandlers } from '../transport/socket.ts';

/** Bytes of text. */
export function text(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

export class Recorder implements SocketHandlers {
  socket: Socket | undefined;
  bytes = 0;
  drains = 0;
  ended = false;
  closed = false;
  error: Error | undefined;
  drained: () => void = () => undefined;
  #start = new Uint8Array(0);

  constructor(socket?: Socket) {
    this.socket = socket;
  }

  /** The first megabyte, as Latin-1. */
  text(): string {
    return Array.from(this.#start, (byte) => String.fromCharCode(byte)).join('');
  }

  onData(bytes: Uint8Array): void {
    if (this.ended || this.closed) throw new Error('data after the end');
    this.bytes += bytes.length;
    if (this.bytes > 1_048_576) return;
    const joined = new Uint8Array(this.#start.length + bytes.length);
    joined.set(this.#start);
    joined.set(bytes, this.#start.length);
    this.#start = joined;
  }

  onEnd(): void {
    if (this.ended || this.closed) throw new Error('a second end');
    this.ended = true;
  }

  onDrain(): void {
    this.drains++;
    this.drained();
  }

  onClose(error: Error | undefined): void {
    if (this.closed) throw new Error('a second close');
    this.closed = true;
    this.error = error;
  }
}
