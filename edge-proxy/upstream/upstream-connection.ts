// One connection to an upstream: sends a request, reads its response, and says when it can take another.
import { createBodyDecoder, type BodyDecoder } from '../http1/body-decoder.ts';
import { HeadReader } from '../http1/head-reader.ts';
import { IncomingBody } from '../http1/incoming-body.ts';
import { parseResponseHead, type ResponseHead } from '../http1/response.ts';
import { chunk, lastChunk, requestHead, type OutgoingRequest } from '../http1/serialize.ts';
import { Deadline } from '../listener/deadline.ts';
import type { Socket, SocketHandlers } from '../transport/socket.ts';
import { UpstreamError } from './error.ts';

/** A response whose body is still on its way. */
export interface UpstreamResponse {
  readonly head: ResponseHead;
  readonly body: IncomingBody;
  readonly connection: UpstreamConnection;
}

// 100, 102 and 103 are read and dropped; an upstream that sends nothing else is broken.
const MAX_INTERIM = 16;

/** Milliseconds. */
export interface UpstreamTimeouts {
  /** For connecting, handshake included. */
  readonly connect: number;
  /** From the last byte of a request to the first of its response, and between two pieces of a body. */
  readonly response: number;
}

interface Waiting {
  readonly method: string;
  resolve(response: UpstreamResponse): void;
  reject(error: Error): void;
}

export class UpstreamConnection implements SocketHandlers {
  /** Set once connected. */
  socket!: Socket;
  readonly #timeouts: UpstreamTimeouts;
  readonly #onFree: (connection: UpstreamConnection) => void;
  readonly #onGone: (connection: UpstreamConnection) => void;
  readonly #deadline = new Deadline(() => this.#fail(new UpstreamError(504, 'the upstream took too long')));
  #reader = new HeadReader();
  #waiting: Waiting | undefined;
  #interim = 0;
  #decoder: BodyDecoder | undefined;
  #response: { readonly head: ResponseHead; readonly body: IncomingBody } | undefined;
  #requestBody: IncomingBody | undefined;
  #requestDone = true;
  #paused = false;
  #proven = false; // it has answered before
  #closed = false;

  constructor(
    timeouts: UpstreamTimeouts,
    onFree: (connection: UpstreamConnection) => void,
    onGone: (connection: UpstreamConnection) => void,
  ) {
    this.#timeouts = timeouts;
    this.#onFree = onFree;
    this.#onGone = onGone;
  }

  get closed(): boolean {
    return this.#closed;
  }

  destroy(): void {
    this.#fail(new UpstreamError(502, 'the exchange was given up'));
  }

  /** Sends a request and resolves with the head of the final response. One at a time. */
  send(request: OutgoingRequest, body: IncomingBody): Promise<UpstreamResponse> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new UpstreamError(502, 'the upstream closed the connection', { unanswered: true }));
        return;
      }
      this.#waiting = { method: request.method, resolve, reject };
      this.#interim = 0;
      this.#requestDone = false;
      this.#requestBody = body;
      this.#deadline.set(this.#timeouts.response, 'response');
      this.socket.write(requestHead(request));
      const isChunked = request.framing.kind === 'chunked';
      body.pipe({
        write: (piece) => {
          if (this.#closed) return false;
          this.#deadline.set(this.#timeouts.response, 'response');
          return this.socket.write(isChunked ? chunk(piece) : piece);
        },
        end: (trailers) => {
          if (isChunked && !this.#closed) this.socket.write(lastChunk(trailers));
          this.#requestDone = true;
          this.#freeIfDone();
        },
        fail: (error) => this.#fail(error),
      });
    });
  }

  onData(bytes: Uint8Array): void {
    let rest = bytes;
    try {
      while (rest.length > 0 && !this.#closed) {
        if (this.#decoder !== undefined) {
          const { body } = this.#response!;
          this.#deadline.set(this.#timeouts.response, 'body');
          rest = rest.subarray(this.#decoder.decode(rest, (piece) => body.push(piece)));
          if (this.#decoder.done) this.#responseDone();
        } else if (this.#waiting !== undefined) {
          const head = this.#reader.push(rest);
          if (head === undefined) return;
          rest = head.rest;
          this.#received(parseResponseHead(head.text, this.#waiting.method), this.#waiting);
        } else throw new UpstreamError(502, 'the upstream sent bytes that nobody asked for');
      }
    } catch (error) {
      const { message } = error as Error;
      this.#fail(error instanceof UpstreamError ? error : new UpstreamError(502, message, { cause: error }));
    }
  }

  onEnd(): void {
    if (this.#response?.head.framing.kind === 'close' && this.#decoder !== undefined) this.#responseDone();
    this.#fail(this.#ended());
  }

  onDrain(): void {
    this.#requestBody?.ready();
  }

  onClose(error: Error | undefined): void {
    this.#fail(error === undefined ? this.#ended() : this.#ended(error));
  }

  #ended(cause?: Error): UpstreamError {
    const unanswered = this.#interim === 0 && !this.#reader.started && this.#response === undefined;
    // In TLS 1.3 a client is connected before the server has judged its certificate (RFC 8446 4.4.2.4).
    const hint =
      unanswered && !this.#proven && this.socket?.peer !== undefined ? '; it may have refused our SVID' : '';
    const reason = cause === undefined ? '' : `: ${cause.message}`;
    return new UpstreamError(502, `the upstream closed the connection early${reason}${hint}`, {
      cause,
      unanswered,
    });
  }

  #received(head: ResponseHead, waiting: Waiting): void {
    if (head.status < 200) {
      // We never asked for an upgrade, so a 101 would make the two sides disagree about what follows.
      if (head.status === 101) throw new UpstreamError(502, 'the upstream switched protocols unasked');
      if (++this.#interim > MAX_INTERIM)
        throw new UpstreamError(502, 'the upstream sent too many interim responses');
      return;
    }
    const body = new IncomingBody(head.framing, { pause: () => this.#pause(), resume: () => this.#resume() });
    this.#proven = true;
    this.#waiting = undefined;
    this.#response = { head, body };
    waiting.resolve({ head, body, connection: this });
    if (body.complete) this.#responseDone();
    else this.#decoder = createBodyDecoder(head.framing);
  }

  #responseDone(): void {
    const decoder = this.#decoder;
    this.#decoder = undefined;
    this.#deadline.clear();
    this.#response!.body.finish(decoder?.trailers ?? []);
    if (!this.#requestDone) {
      // The upstream answered without reading the whole request: what is left of it would be read as the next one.
      this.#close();
    } else this.#freeIfDone();
  }

  #freeIfDone(): void {
    if (this.#closed || !this.#requestDone || this.#response === undefined || this.#decoder !== undefined)
      return;
    const { keepAlive } = this.#response.head;
    this.#response = undefined;
    this.#requestBody = undefined;
    if (keepAlive) this.#onFree(this);
    else this.#close();
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    const response = this.#response;
    this.#waiting = undefined;
    this.#close();
    waiting?.reject(error);
    response?.body.fail(error);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#deadline.stop();
    this.socket?.destroy();
    this.#onGone(this);
  }

  #pause(): void {
    this.#paused = true;
    this.#deadline.clear(); // the reader of the response is slow, not the upstream
    this.socket.pause();
  }

  #resume(): void {
    if (!this.#paused || this.#closed) return;
    this.#paused = false;
    this.socket.resume();
    if (this.#decoder !== undefined) this.#deadline.set(this.#timeouts.response, 'body');
  }
}
