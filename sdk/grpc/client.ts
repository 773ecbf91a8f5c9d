// A typed gRPC client over grpc-js: promises and async iterables in place of callbacks and emitters.
import {
  create,
  type DescMethodBiDiStreaming,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  type DescMessage,
} from '@bufbuild/protobuf';
import {
  Client,
  Metadata,
  type ChannelCredentials,
  type ClientDuplexStream,
  type ClientOptions,
  type ClientReadableStream,
} from '@grpc/grpc-js';
import { methodDefinition } from './service.ts';

/** Options of one call. */
export interface CallOptions {
  /** Milliseconds until the call fails with DEADLINE_EXCEEDED. Default: none for streams, 30,000 for unary calls. */
  readonly timeout?: number;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

const UNARY_TIMEOUT = 30_000;

/** One channel, on which the methods of any service can be called. */
export class GrpcClient implements Disposable {
  readonly #client: Client;

  constructor(target: string, credentials: ChannelCredentials, options: ClientOptions = {}) {
    this.#client = new Client(target, credentials, options);
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
    return new Promise((resolve, reject) => {
      if (options.signal?.aborted) {
        reject(abortReason(options.signal));
        return;
      }
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        create(method.input, request),
        metadataOf(options),
        { deadline: Date.now() + (options.timeout ?? UNARY_TIMEOUT) },
        (error, response) => {
          options.signal?.removeEventListener('abort', cancel);
          if (error !== null) reject(error);
          else resolve(response as MessageShape<O>);
        },
      );
      const cancel = () => call.cancel();
      options.signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  /** Messages as they come; leaving the loop cancels the call. Errors are grpc-js ServiceErrors. */
  async *serverStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
    options: CallOptions = {},
  ): AsyncGenerator<MessageShape<O>, void, undefined> {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
    const call = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      create(method.input, request),
      metadataOf(options),
      deadlineOf(options),
    );
    yield* messagesOf<MessageShape<O>>(call, options.signal);
  }

  /** A stream in both directions. `close` ends our side; leaving the loop over `messages` cancels the call. */
  bidiStream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodBiDiStreaming<I, O>,
    options: CallOptions = {},
  ): BidiStream<I, O> {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(method);
    const call = this.#client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadataOf(options),
      deadlineOf(options),
    );
    return {
      send: (request) => call.write(create(method.input, request)),
      close: () => call.end(),
      messages: messagesOf<MessageShape<O>>(call, options.signal),
    };
  }

  /** Closes the channel; calls under way fail. */
  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Both halves of a bidirectional stream. */
export interface BidiStream<I extends DescMessage, O extends DescMessage> {
  send(request: MessageInitShape<I>): void;
  close(): void;
  readonly messages: AsyncGenerator<MessageShape<O>, void, undefined>;
}

async function* messagesOf<T>(
  call: ClientReadableStream<Message> | ClientDuplexStream<Message, Message>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void, undefined> {
  const cancel = () => call.cancel();
  signal?.addEventListener('abort', cancel, { once: true });
  // A late error, after the loop was left and the call cancelled, must not become an uncaught exception.
  call.on('error', () => {});
  try {
    if (signal?.aborted) throw abortReason(signal);
    for await (const message of call) yield message as T;
  } finally {
    signal?.removeEventListener('abort', cancel);
    call.cancel();
  }
}

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(options.metadata ?? {})) metadata.set(name, value);
  return metadata;
}

function deadlineOf(options: CallOptions): { deadline?: number } {
  return options.timeout === undefined ? {} : { deadline: Date.now() + options.timeout };
}

function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted');
}
