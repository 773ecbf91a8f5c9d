// A Workload API for tests: a real gRPC server on a real socket, whose answers the test decides.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { GrpcServer, type CallContext } from '../../daemon/grpc/server.ts';
import { RpcError, type RpcCode } from '../../daemon/grpc/rpc-error.ts';
import { listenGrpcUnix } from '../../daemon/grpc/unix-listener.ts';
import { createLog } from '../../daemon/log.ts';
import { SpiffeWorkloadAPI } from '../../sdk/api/gen/spiffe/workload/workload_pb.ts';
import { concat } from '../../sdk/x509-svid/der-writer.ts';
import type { X509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import type { TestAuthority } from './authority.ts';

/** A status with which a call ends. */
export interface Refusal {
  readonly code: RpcCode;
  readonly message: string;
}

type Methods = (typeof SpiffeWorkloadAPI)['method'];
/** The name of a call. */
export type Call = keyof Methods;
/** A call that answers with a stream. */
export type StreamCall = Exclude<Call, 'fetchJWTSVID' | 'validateJWTSVID'>;
/** What a call may answer. */
export type Message<Name extends Call> = MessageInitShape<Methods[Name]['output']>;
/** What a unary call is answered with. */
export type UnaryAnswer<Name extends 'fetchJWTSVID' | 'validateJWTSVID'> = (
  request: MessageInitShape<Methods[Name]['input']>,
) => Message<Name> | Refusal | Promise<Message<Name> | Refusal>;

const log = createLog({ name: 'test', level: 'silent' });
const UNIMPLEMENTED: Refusal = { code: 'UNIMPLEMENTED', message: 'not here' };

/** A Workload API whose answers the test decides. */
export class TestWorkloadApi {
  readonly path: string;
  /** Answers to the unary calls; the test replaces them. */
  jwtSvid: UnaryAnswer<'fetchJWTSVID'> = () => UNIMPLEMENTED;
  validation: UnaryAnswer<'validateJWTSVID'> = () => UNIMPLEMENTED;
  readonly #headers = new Map<Call, unknown[]>();
  readonly #answers = new Map<StreamCall, (Message<StreamCall> | Refusal)[]>();
  readonly #wake = new Set<() => void>();
  readonly #authority: TestAuthority;
  #server: GrpcServer<null> | undefined;
  #close: (() => void) | undefined;

  constructor(path: string, authority: TestAuthority) {
    this.path = path;
    this.#authority = authority;
  }

  get endpoint(): string {
    return `unix://${this.path}`;
  }

  /** The security headers of the calls of FetchX509SVID so far. */
  get headers(): readonly unknown[] {
    return this.headersOf('fetchX509SVID');
  }

  /** How often FetchX509SVID was called. */
  get calls(): number {
    return this.headers.length;
  }

  /** The security headers of the calls of one kind so far. */
  headersOf(call: Call): readonly unknown[] {
    return this.#headers.get(call) ?? [];
  }

  /** Sends an SVID, or ends the stream with an error. */
  push(answer: X509Svid | Refusal): void {
    this.pushTo('fetchX509SVID', 'code' in answer ? answer : { svids: [this.entryOf(answer)] });
  }

  /** Sends a message on a stream, now or to the next call, or ends it with an error. */
  pushTo<Name extends StreamCall>(call: Name, answer: Message<Name> | Refusal): void {
    this.#answers.set(call, [...(this.#answers.get(call) ?? []), answer]);
    for (const wake of this.#wake) wake();
  }

  /** An SVID as it stands in a message. */
  entryOf(svid: X509Svid, hint = '') {
    return {
      spiffeId: svid.id,
      x509Svid: concat(svid.certificates),
      x509SvidKey: svid.privateKey,
      bundle: this.#authority.certificate.der,
      hint,
    };
  }

  async start(): Promise<void> {
    const server = this.#createServer();
    this.#close = await listenGrpcUnix({
      path: this.path,
      mode: 0o600,
      option: 'test',
      log,
      identify: () => null,
      onConnection: (socket) => server.serve(socket, null),
    });
  }

  /** Serves on TCP instead; gives the endpoint. */
  async startTcp(): Promise<string> {
    const server = this.#createServer();
    const listener = createServer((socket) => server.serve(socket, null)).listen(0, '127.0.0.1');
    await once(listener, 'listening');
    this.#close = () => listener.close();
    return `tcp://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#close?.();
    this.#server?.close();
  }

  #createServer(): GrpcServer<null> {
    const server = new GrpcServer<null>({ log });
    server.add(SpiffeWorkloadAPI, {
      fetchX509SVID: (_, context) => this.#serve('fetchX509SVID', context),
      fetchX509Bundles: (_, context) => this.#serve('fetchX509Bundles', context),
      fetchJWTBundles: (_, context) => this.#serve('fetchJWTBundles', context),
      fetchWITSVID: (_, context) => this.#serve('fetchWITSVID', context),
      fetchWITBundles: (_, context) => this.#serve('fetchWITBundles', context),
      fetchJWTSVID: async (request, context) => {
        this.#record('fetchJWTSVID', context);
        return orThrow<Message<'fetchJWTSVID'>>(await this.jwtSvid(request));
      },
      validateJWTSVID: async (request, context) => {
        this.#record('validateJWTSVID', context);
        return orThrow<Message<'validateJWTSVID'>>(await this.validation(request));
      },
    });
    this.#server = server;
    return server;
  }

  #record(call: Call, { metadata }: CallContext<null>): void {
    this.#headers.set(call, [...this.headersOf(call), metadata.get('workload.spiffe.io')]);
  }

  async *#serve<Name extends StreamCall>(call: Name, context: CallContext<null>) {
    this.#record(call, context);
    const { signal } = context;
    while (!signal.aborted) {
      const answer = this.#answers.get(call)?.shift();
      if (answer !== undefined) {
        yield orThrow(answer) as Message<Name>;
        continue;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake.add(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
      await promise;
      this.#wake.delete(resolve);
    }
  }
}

function orThrow<T extends object>(answer: T | Refusal): T {
  if ('code' in answer) throw new RpcError(answer.code, answer.message);
  return answer;
}
