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
  ServerInterceptingCall,
  ServerListenerBuilder,
  type Metadata,
  type ServerInterceptingCallInterface,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
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
  /** By which every log line about this call, and an answer that it failed, can be found. */
  readonly requestId: string;
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

/**
 * Runs before a message of a call is read, so that who may not call costs no memory, and again when the call begins,
 * since a caller may take its time in between; throws {@link RpcError} to refuse it.
 */
export type Guard<Caller> = (context: CallContext<Caller>) => void | Promise<void>;

/** Options of {@link GrpcServer}. */
export interface GrpcServerOptions<Caller> {
  readonly log: Logger;
  /** Authorisation and header checks, before any handler and before any message is looked at. */
  readonly guard?: Guard<Caller>;
  /** Counts a call that the guard let pass, from its headers to its end; the result gives it back. Throws to refuse. */
  readonly admit?: (context: CallContext<Caller>) => () => void;
  /** What one connection may take. */
  readonly limits?: GrpcLimits;
  /** What a connection of a caller with {@link GrpcServerOptions.isStranger} may take. */
  readonly strangerLimits?: GrpcLimits;
  /** Whether nothing is known of a caller. */
  readonly isStranger?: (caller: Caller) => boolean;
  /** What an error that a handler threw means to callers; undefined: nothing that is their business. */
  readonly translate?: (thrown: unknown) => RpcError | undefined;
  /** Called after each call, for logs. */
  readonly onCall?: (context: CallContext<Caller>, code: string, milliseconds: number) => void;
}

/** What one connection may take. */
export interface GrpcLimits {
  /** Calls that are open at once. */
  readonly streams: number;
  /** The largest message, in bytes. */
  readonly messageBytes: number;
  /** Milliseconds that a connection without a call is kept. Default: for ever. */
  readonly idle?: number;
  /** Milliseconds that a connection is kept at all. Default: for ever. */
  readonly age?: number;
}

// The message size is gRPC's default.
const LIMITS: GrpcLimits = { streams: 1_000, messageBytes: 4 * 1024 * 1024 };
// For calls in flight when a connection has reached its age.
const AGE_GRACE = 10_000;

type AnyHandler<Caller> = (
  request: unknown,
  context: CallContext<Caller>,
) => Promise<unknown> | AsyncIterable<unknown>;

export class GrpcServer<Caller> {
  readonly #known: Endpoint;
  readonly #strangers: Endpoint;
  readonly #callers = new Map<string, Caller>();
  readonly #sockets = new Set<Socket>();
  readonly #options: GrpcServerOptions<Caller>;
  #connections = 0;

  constructor(options: GrpcServerOptions<Caller>) {
    this.#options = options;
    const limits = options.limits ?? LIMITS;
    this.#known = this.#endpoint(limits);
    this.#strangers = this.#endpoint(options.strangerLimits ?? limits);
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
    for (const { server } of [this.#known, this.#strangers]) {
      server.addService(serviceDefinition(service), wrapped);
    }
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
    const isStranger = this.#options.isStranger?.(caller) ?? false;
    (isStranger ? this.#strangers : this.#known).injector.injectConnection(socket);
  }

  /** Connections that are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Ends every call and every connection. */
  close(): void {
    this.#known.server.forceShutdown();
    this.#strangers.server.forceShutdown();
    for (const socket of this.#sockets) socket.destroy();
  }

  #endpoint({ streams, messageBytes, idle, age }: GrpcLimits): Endpoint {
    const server = new Server({
      'grpc.max_concurrent_streams': streams,
      'grpc.max_receive_message_length': messageBytes,
      // A peer that vanished without a word is noticed, and its descriptor given back.
      'grpc.keepalive_time_ms': 60_000,
      'grpc.keepalive_timeout_ms': 20_000,
      ...(idle !== undefined && { 'grpc.max_connection_idle_ms': idle }),
      ...(age !== undefined && {
        'grpc.max_connection_age_ms': age,
        'grpc.max_connection_age_grace_ms': AGE_GRACE,
      }),
      interceptors: [({ path }, call) => this.#guarded(path, call)],
    });
    return { server, injector: server.createConnectionInjector(ServerCredentials.createInsecure()) };
  }

  // grpc-js reads, unpacks and parses the message of a unary call before its handler runs, and nothing bounds what a
  // message of 4 MiB becomes when it is parsed. So nothing is read before the guard has let the caller pass.
  #guarded(path: string, call: ServerInterceptingCallInterface): ServerInterceptingCall {
    const controller = new AbortController();
    let release: (() => void) | undefined;
    const judge = async (metadata: Metadata): Promise<RpcError | undefined> => {
      const caller = this.#callers.get(call.getPeer());
      if (caller === undefined) return new RpcError('UNAVAILABLE', 'the connection is closing');
      const { signal } = controller;
      const context = { caller, path, metadata, requestId: randomUUID(), signal };
      const started = performance.now();
      try {
        await this.#options.guard?.(context);
        if (!controller.signal.aborted) release = this.#options.admit?.(context);
        return undefined;
      } catch (thrown) {
        const error = this.#errorOf(thrown, context);
        this.#options.onCall?.(context, error.code, performance.now() - started);
        return error;
      }
    };
    const listener = new ServerListenerBuilder()
      .withOnReceiveMetadata((metadata, pass) => {
        void judge(metadata).then((error) => {
          if (error === undefined) pass(metadata);
          else call.sendStatus(error.toStatus());
        });
      })
      // Called at the end of every call, however it ends.
      .withOnCancel(() => {
        controller.abort(new Error('the call was cancelled'));
        release?.();
      })
      .build();
    return new ServerInterceptingCall(call, { start: (next) => next(listener) });
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
    const { signal } = controller;
    const requestId = randomUUID();
    const context: CallContext<Caller> = { caller, path, metadata: call.metadata, requestId, signal };
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
    const translated = this.#options.translate?.(thrown);
    if (translated !== undefined) return translated;
    // The cause is for the operator; on the wire it would tell strangers about our insides.
    const { path, requestId } = context;
    this.#options.log.error({ err: thrown, path, request_id: requestId }, 'a call failed unexpectedly');
    return new RpcError(
      'INTERNAL',
      `internal error; the log of the program that answered has the cause (request ${requestId})`,
    );
  }
}

interface Endpoint {
  readonly server: Server;
  readonly injector: ReturnType<Server['createConnectionInjector']>;
}

// A loop over a stream destroys it when it is left, and a duplex with both its halves: the answer would be lost.
function requestsOf(call: ServerDuplexStream<Message, Message>): AsyncIterable<unknown> {
  return { [Symbol.asyncIterator]: () => call.iterator({ destroyOnReturn: false }) };
}
