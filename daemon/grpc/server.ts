// A gRPC server whose handlers are plain functions: a unary call takes a message and gives one, a stream is an async
// iterable. Sockets are injected by the listeners, which alone know who is at the other end.
import {
  create,
  type DescMethod,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type DescService,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import {
  Server,
  ServerCredentials,
  type Metadata,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { once, type EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { serviceDefinition } from '../../sdk/grpc/service.ts';
import type { Logger } from '../log.ts';
import { RpcError } from './rpc-error.ts';

/** What a handler knows of a call besides its request. */
export interface CallContext<Caller> {
  /** Who calls, as the listener found out. */
  readonly caller: Caller;
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly metadata: Metadata;
  /** Aborts when the call is cancelled or its connection ends. */
  readonly signal: AbortSignal;
}

/** The handler of a method, by its kind. */
export type Handler<Method extends DescMethod, Caller> =
  Method extends DescMethodUnary<infer I, infer O>
    ? (request: MessageShape<I>, context: CallContext<Caller>) => Promise<MessageInitShape<O>>
    : Method extends DescMethodServerStreaming<infer I, infer O>
      ? (request: MessageShape<I>, context: CallContext<Caller>) => AsyncIterable<MessageInitShape<O>>
      : Method extends DescMethodBiDiStreaming<infer I, infer O>
        ? (
            requests: AsyncIterable<MessageShape<I>>,
            context: CallContext<Caller>,
          ) => AsyncIterable<MessageInitShape<O>>
        : never;

/** Handlers of a service. Methods left out answer UNIMPLEMENTED. */
export type Handlers<Service extends DescService, Caller> = {
  readonly [Name in keyof Service['method']]?: Handler<Service['method'][Name], Caller>;
};

/** Runs before every call; throws {@link RpcError} to refuse it. */
export type Guard<Caller> = (context: CallContext<Caller>) => void | Promise<void>;

/** Options of {@link GrpcServer}. */
export interface GrpcServerOptions<Caller> {
  readonly log: Logger;
  /** Authorisation and header checks, before any handler and before any message is looked at. */
  readonly guard?: Guard<Caller>;
  /** Called after each call, for logs. */
  readonly onCall?: (context: CallContext<Caller>, code: string, milliseconds: number) => void;
}

// What one caller may have open on one connection, and how large a message may be (gRPC's default).
const MAX_CONCURRENT_STREAMS = 1_000;
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

type AnyHandler<Caller> = (
  request: unknown,
  context: CallContext<Caller>,
) => Promise<unknown> | AsyncIterable<unknown>;

export class GrpcServer<Caller> {
  readonly #server = new Server({
    'grpc.max_concurrent_streams': MAX_CONCURRENT_STREAMS,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    // A peer that vanished without a word is noticed, and its descriptor given back.
    'grpc.keepalive_time_ms': 60_000,
    'grpc.keepalive_timeout_ms': 20_000,
  });
  readonly #injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
  readonly #callers = new Map<string, Caller>();
  readonly #sockets = new Set<Socket>();
  readonly #options: GrpcServerOptions<Caller>;
  #connections = 0;

  constructor(options: GrpcServerOptions<Caller>) {
    this.#options = options;
  }

  /** Adds a service. */
  add<Service extends DescService>(service: Service, handlers: Handlers<Service, Caller>): this {
    const wrapped: UntypedServiceImplementation = {};
    for (const method of service.methods) {
      const handler = (handlers as Record<string, AnyHandler<Caller> | undefined>)[method.localName];
      if (handler === undefined) continue;
      wrapped[method.localName] =
        method.methodKind === 'unary' ? this.#unary(method, handler) : this.#streaming(method, handler);
    }
    this.#server.addService(serviceDefinition(service), wrapped);
    return this;
  }

  /** Serves a connection whose peer is known. The socket belongs to the server from now on. */
  serve(socket: Socket, caller: Caller): void {
    // grpc-js offers one public way from a call back to its connection: getPeer(), which reads remoteAddress.
    const connection = `connection-${++this.#connections}`;
    Object.defineProperty(socket, 'remoteAddress', { value: connection });
    Object.defineProperty(socket, 'remotePort', { value: undefined });
    this.#callers.set(connection, caller);
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#callers.delete(connection);
      this.#sockets.delete(socket);
    });
    socket.on('error', () => socket.destroy());
    this.#injector.injectConnection(socket);
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Ends every call and every connection. */
  close(): void {
    this.#server.forceShutdown();
    for (const socket of this.#sockets) socket.destroy();
  }

  #unary(method: DescMethod, handler: AnyHandler<Caller>) {
    return (call: ServerUnaryCall<Message, Message>, callback: sendUnaryData<Message>) => {
      void this.#run(call, async (context) => {
        const answer = await (handler(call.request, context) as Promise<
          MessageInitShape<typeof method.output>
        >);
        callback(null, create(method.output, answer));
      }).then((error) => {
        if (error !== undefined) callback(error.toStatus());
      });
    };
  }

  #streaming(method: DescMethod, handler: AnyHandler<Caller>) {
    return (call: ServerWritableStream<Message, Message> | ServerDuplexStream<Message, Message>) => {
      call.on('error', () => {});
      const request =
        method.methodKind === 'bidi_streaming'
          ? requestsOf(call as ServerDuplexStream<Message, Message>)
          : (call as { request: Message }).request;
      void this.#run(call, async (context) => {
        const answers = handler(request, context) as AsyncIterable<MessageInitShape<typeof method.output>>;
        for await (const answer of answers) {
          if (context.signal.aborted) return;
          // A peer that does not read holds one message, not the whole queue.
          if (!call.write(create(method.output, answer)))
            await once(call, 'drain', { signal: context.signal });
        }
        call.end();
      }).then((error) => {
        if (error !== undefined) call.emit('error', error.toStatus());
      });
    };
  }

  // Runs one call and returns the error to answer with, if any.
  async #run(
    call:
      | ServerUnaryCall<Message, Message>
      | ServerWritableStream<Message, Message>
      | ServerDuplexStream<Message, Message>,
    body: (context: CallContext<Caller>) => Promise<void>,
  ): Promise<RpcError | undefined> {
    const controller = new AbortController();
    (call as EventEmitter).on('cancelled', () => controller.abort(new Error('the call was cancelled')));
    const caller = this.#callers.get(call.getPeer());
    const path = call.getPath();
    if (caller === undefined) return new RpcError('UNAVAILABLE', 'the connection is closing');
    const context: CallContext<Caller> = { caller, path, metadata: call.metadata, signal: controller.signal };
    const started = performance.now();
    let error: RpcError | undefined;
    try {
      await this.#options.guard?.(context);
      await body(context);
    } catch (thrown) {
      error = this.#errorOf(thrown, context);
    } finally {
      controller.abort(new Error('the call has ended'));
    }
    this.#options.onCall?.(context, error?.code ?? 'OK', performance.now() - started);
    return error;
  }

  #errorOf(thrown: unknown, context: CallContext<Caller>): RpcError {
    if (thrown instanceof RpcError) return thrown;
    if (context.signal.aborted) return new RpcError('CANCELLED', 'the call was cancelled');
    // The cause is for the operator; on the wire it would tell strangers about our insides.
    this.#options.log.error({ err: thrown, path: context.path }, 'a call failed unexpectedly');
    return new RpcError('INTERNAL', 'internal error; the log of the program that answered has the cause');
  }
}

// A loop over a stream destroys it when it is left, and a duplex with both its halves: the answer would be lost.
function requestsOf(call: ServerDuplexStream<Message, Message>): AsyncIterable<unknown> {
  return { [Symbol.asyncIterator]: () => call.iterator({ destroyOnReturn: false }) };
}
