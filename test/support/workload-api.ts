// A Workload API for tests: a real gRPC server on a real Unix socket, whose answers the test decides.
import { GrpcServer } from '../../daemon/grpc/server.ts';
import { RpcError, type RpcCode } from '../../daemon/grpc/rpc-error.ts';
import { listenGrpcUnix } from '../../daemon/grpc/unix-listener.ts';
import { createLog } from '../../daemon/log.ts';
import { SpiffeWorkloadAPI } from '../../sdk/api/gen/spiffe/workload/workload_pb.ts';
import { concat } from '../../sdk/x509-svid/der-writer.ts';
import type { X509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import type { TestAuthority } from './authority.ts';

/** A status with which a stream ends. */
export interface Refusal {
  readonly code: RpcCode;
  readonly message: string;
}

const log = createLog({ name: 'test', level: 'silent' });

/** A Workload API whose answers the test decides. */
export class TestWorkloadApi {
  readonly headers: unknown[] = [];
  readonly path: string;
  calls = 0;
  #answers: (X509Svid | Refusal)[] = [];
  #wake: () => void = () => {};
  #authority: TestAuthority;
  #server: GrpcServer<null> | undefined;
  #close: (() => void) | undefined;

  constructor(path: string, authority: TestAuthority) {
    this.path = path;
    this.#authority = authority;
  }

  get endpoint(): string {
    return `unix://${this.path}`;
  }

  /** Sends an SVID, or ends the stream with an error. */
  push(answer: X509Svid | Refusal): void {
    this.#answers.push(answer);
    this.#wake();
  }

  async start(): Promise<void> {
    const server = new GrpcServer<null>({ log });
    server.add(SpiffeWorkloadAPI, {
      fetchX509SVID: (_, context) => this.#serve(context.metadata.get('workload.spiffe.io'), context.signal),
    });
    this.#server = server;
    this.#close = await listenGrpcUnix({
      path: this.path,
      mode: 0o600,
      option: 'test',
      log,
      identify: () => null,
      onConnection: (socket) => server.serve(socket, null),
    });
  }

  stop(): void {
    this.#close?.();
    this.#server?.close();
  }

  async *#serve(header: unknown, signal: AbortSignal) {
    this.headers.push(header);
    this.calls++;
    for (;;) {
      const answer = this.#answers.shift();
      if (answer !== undefined && 'code' in answer) throw new RpcError(answer.code, answer.message);
      if (answer !== undefined) {
        yield {
          svids: [
            {
              spiffeId: answer.id,
              x509Svid: concat(answer.certificates),
              x509SvidKey: answer.privateKey,
              bundle: this.#authority.certificate.der,
            },
          ],
        };
        continue;
      }
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve;
        signal.addEventListener('abort', () => reject(new Error('gone')), { once: true });
      });
    }
  }
}
