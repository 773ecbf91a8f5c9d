// One accepted connection: reads requests one after another, has each answered, and writes the answers in order. A
// pipelined request waits, unread, until the one before it is done.
import { randomBytes } from 'node:crypto';
import { Buffer } from 'node:buffer';
import { canonicalPath } from '../../sdk/policy/policy.ts';
import { createBodyDecoder, type BodyDecoder } from '../http1/body-decoder.ts';
import { HttpError } from '../http1/error.ts';
import { HeadReader } from '../http1/head-reader.ts';
import { IncomingBody } from '../http1/incoming-body.ts';
import { parseRequestHead, type RequestHead } from '../http1/request.ts';
import { CONTINUE, responseHead } from '../http1/serialize.ts';
import type { Socket, SocketHandlers } from '../transport/socket.ts';
import { Deadline } from './deadline.ts';
import { Exchange, type Origin } from './exchange.ts';
import { lazyRequest } from './lazy-request.ts';
import { refusalBody, refusalResponse } from './refusal.ts';
import { writeForwarded, writeLocal, type WriteOptions, type WritingResponse } from './response-writer.ts';
import type { ListenerSettings } from './settings.ts';

export class ServerConnection implements SocketHandlers {
  readonly #socket: Socket;
  readonly #settings: ListenerSettings;
  readonly #origin: Origin;
  readonly #onClosed: (connection: ServerConnection) => void;
  readonly #reader = new HeadReader();
  readonly #deadline = new Deadline((what) => this.#timedOut(what));
  #decoder: BodyDecoder | undefined;
  #exchange: Exchange | undefined;
  #writing: WritingResponse | undefined;
  #held: Uint8Array | undefined; // a pipelined request, not yet looked at
  #bodyPaused = false;
  #lastRequest = false;
  #deaf = false;
  #closed = false;

  constructor(socket: Socket, settings: ListenerSettings, onClosed: (connection: ServerConnection) => void) {
    this.#socket = socket;
    this.#settings = settings;
    this.#onClosed = onClosed;
    this.#origin = {
      listener: settings.name,
      direction: settings.direction,
      peer: socket.peer,
      remoteAddress: socket.remoteAddress,
    };
    this.#deadline.set(settings.timeouts.idle, 'idle');
  }

  /** No further request: an idle connection ends now, a busy one after its response. */
  finish(): void {
    this.#lastRequest = true;
    if (this.#exchange === undefined && !this.#reader.started) this.#socket.destroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  onData(bytes: Uint8Array): void {
    this.#settings.onBytes(bytes.length);
    if (!this.#deaf) this.#consume(bytes);
  }

  onEnd(): void {
    // Half-closing and going away look the same. As nginx and Envoy do, take it for going away: a caller that gives up
    // must not keep an upstream busy, and hardly anybody half-closes with a request in flight.
    this.#socket.destroy();
  }

  onDrain(): void {
    this.#writing?.drained();
  }

  onClose(error: Error | undefined): void {
    this.#closed = true;
    this.#deadline.stop();
    this.#onClosed(this);
    const gone = error ?? new Error('the caller closed the connection');
    if (this.#decoder !== undefined) this.#failBody(gone);
    this.#exchange?.end(0, gone);
  }

  #consume(bytes: Uint8Array): void {
    let rest = bytes;
    try {
      while (rest.length > 0 && !this.#deaf) {
        if (this.#exchange === undefined) {
          const wasStarted = this.#reader.started;
          const head = this.#reader.push(rest);
          if (head === undefined) {
            if (!wasStarted) this.#deadline.set(this.#settings.timeouts.head, 'head');
            return;
          }
          rest = head.rest;
          this.#begin(parseRequestHead(head.text));
        } else if (this.#decoder === undefined) {
          this.#hold(rest);
          return;
        } else {
          const { body } = this.#exchange;
          this.#deadline.set(this.#settings.timeouts.body, 'body');
          rest = rest.subarray(this.#decoder.decode(rest, (piece) => body.push(piece)));
          if (this.#decoder.done) this.#bodyDone(this.#decoder, body);
        }
      }
    } catch (error) {
      this.#refuse(error as Error);
    }
  }

  #begin(head: RequestHead): void {
    const body = new IncomingBody(head.framing, {
      pause: () => this.#pauseBody(),
      resume: () => this.#resumeBody(),
    });
    let continues = head.expectsContinue;
    const exchange = new Exchange(this.#origin, head, canonicalPath(head.target), body, () => {
      if (continues && this.#writing === undefined && !this.#closed) this.#socket.write(CONTINUE);
      continues = false;
    });
    this.#exchange = exchange;
    if (!head.keepAlive) this.#lastRequest = true;
    if (body.complete) this.#deadline.clear();
    else {
      this.#decoder = createBodyDecoder(head.framing);
      this.#deadline.set(this.#settings.timeouts.body, 'body');
    }
    void this.#serve(exchange);
  }

  async #serve(exchange: Exchange): Promise<void> {
    let response: Response;
    let content: Uint8Array | undefined;
    try {
      response = await this.#settings.handler.fetch(lazyRequest(exchange), exchange);
      if (!isForwarded(exchange, response)) content = new Uint8Array(await response.arrayBuffer());
    } catch {
      response = refusalResponse(500, exchange.id);
      content = Buffer.from(refusalBody(500, exchange.id));
    }
    if (this.#closed) {
      exchange.end(0, new Error('the caller closed the connection'));
      return;
    }
    this.#respond(exchange, response, content);
  }

  #respond(exchange: Exchange, response: Response, content: Uint8Array | undefined): void {
    // A refused request may have a body on its way that nobody reads: then this is the last response.
    const keepAlive =
      !this.#lastRequest && !this.#deaf && (this.#decoder === undefined || content === undefined);
    this.#deadline.set(this.#settings.timeouts.body, 'response');
    const options: WriteOptions = {
      socket: this.#socket,
      exchange,
      keepAlive,
      onDone: (error) => this.#responded(exchange, response.status, keepAlive, error),
      onProgress: () => this.#deadline.set(this.#settings.timeouts.body, 'response'),
    };
    try {
      if (content !== undefined) {
        if (exchange.forwarded !== undefined)
          exchange.end(response.status, new Error('the response was replaced'));
        this.#writing = writeLocal(response, content, options);
      } else this.#writing = writeForwarded(response, exchange.forwarded!.body, options);
    } catch (error) {
      exchange.end(0, error as Error);
      this.#socket.destroy();
    }
  }

  #responded(exchange: Exchange, status: number, keepAlive: boolean, error: Error | undefined): void {
    exchange.end(status, error);
    this.#exchange = undefined;
    this.#writing = undefined;
    if (this.#closed) return;
    if (error !== undefined) {
      // Part of a message is out: ending the connection is the only way to say that the rest does not come.
      this.#socket.destroy();
    } else if (!keepAlive || this.#lastRequest || this.#decoder !== undefined) this.#linger();
    else {
      this.#deadline.set(this.#settings.timeouts.idle, 'idle');
      const held = this.#held;
      this.#held = undefined;
      // Not from inside this call: the writer of the response is still at work.
      if (held !== undefined) queueMicrotask(() => this.#goOn(held));
    }
  }

  #goOn(held: Uint8Array): void {
    if (this.#closed) return;
    this.#consume(held);
    if (this.#held === undefined && !this.#bodyPaused) this.#socket.resume();
  }

  // A request that cannot be read: answered once, and the connection ends, since nobody knows where the next one begins.
  #refuse(error: Error): void {
    this.#deaf = true;
    if (this.#exchange !== undefined) {
      this.#failBody(error);
      return;
    }
    const status = error instanceof HttpError ? error.status : 400;
    const id = randomBytes(16).toString('hex');
    const content = Buffer.from(refusalBody(status, id));
    const head = responseHead({
      status,
      fields: [
        ['content-type', 'application/json'],
        ['x-request-id', id],
      ],
      framing: { kind: 'length', length: content.length },
      keepAlive: false,
    });
    this.#socket.write(Buffer.concat([head, content]));
    this.#settings.onMalformed({ id, origin: this.#origin, status, reason: error.message });
    this.#linger();
  }

  #failBody(error: Error): void {
    this.#deaf = true;
    this.#exchange?.body.fail(error);
  }

  #bodyDone(decoder: BodyDecoder, body: IncomingBody): void {
    this.#decoder = undefined;
    this.#deadline.clear();
    body.finish(decoder.trailers);
  }

  #hold(bytes: Uint8Array): void {
    this.#held = this.#held === undefined ? bytes : Buffer.concat([this.#held, bytes]);
    this.#socket.pause();
  }

  #pauseBody(): void {
    this.#bodyPaused = true;
    this.#socket.pause();
  }

  #resumeBody(): void {
    this.#bodyPaused = false;
    if (this.#decoder !== undefined) this.#deadline.set(this.#settings.timeouts.body, 'body');
    if (this.#held === undefined && !this.#closed) this.#socket.resume();
  }

  // Half-closes and lets the peer read: destroying at once could reset away what it has not read yet (RFC 9112 9.6).
  #linger(): void {
    this.#deaf = true;
    this.#lastRequest = true;
    this.#socket.end();
    this.#socket.resume();
    this.#deadline.set(this.#settings.timeouts.linger, 'linger');
  }

  #timedOut(what: string): void {
    if (what === 'body' && this.#bodyPaused) {
      // The receiver is slow, not the sender; the receiver has a deadline of its own.
      this.#deadline.set(this.#settings.timeouts.body, 'body');
    } else if (what === 'head') this.#refuse(new HttpError(408, 'the head took too long'));
    else if (what === 'body' && this.#writing === undefined)
      this.#refuse(new HttpError(408, 'the body took too long'));
    else this.#socket.destroy();
  }
}

// A response is forwarded if its body is the very stream that the forwarding layer made: layers may change its headers,
// which replaces the Response but not the stream.
function isForwarded(exchange: Exchange, response: Response): boolean {
  return exchange.forwarded !== undefined && response.body === exchange.forwarded.stream;
}
