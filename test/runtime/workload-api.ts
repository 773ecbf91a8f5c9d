// A Workload API whose SVID and bundle the suite decides, on a real Unix socket.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GrpcServer } from '../../daemon/grpc/server.ts';
import { listenGrpcUnix } from '../../daemon/grpc/unix-listener.ts';
import { createLog } from '../../daemon/log.ts';
import { SpiffeWorkloadAPI } from '../../sdk/api/gen/spiffe/workload/workload_pb.ts';
import { concat } from '../../sdk/x509-svid/der-writer.ts';
import type { X509Svid } from '../../sdk/x509-svid/x509-svid.ts';
import type { TestAuthority } from '../support/authority.ts';

const log = createLog({ name: 'test', level: 'silent' });

/** What a workload is given. */
export interface Given {
  readonly svid: X509Svid;
  /** The authorities of its trust domain's bundle. */
  readonly bundle: readonly TestAuthority[];
}

/** One workload's endpoint. */
export class SuiteWorkloadApi {
  readonly endpoint: string;
  readonly #folder: string;
  readonly #server = new GrpcServer<null>({ log });
  #given: Given;
  #wakers = new Set<() => void>();
  #close: (() => void) | undefined;

  private constructor(folder: string, given: Given) {
    this.#folder = folder;
    this.endpoint = `unix://${folder}/api.sock`;
    this.#given = given;
  }

  static async start(given: Given): Promise<SuiteWorkloadApi> {
    const api = new SuiteWorkloadApi(await mkdtemp(join(tmpdir(), 'sigil-runtime-')), given);
    api.#server.add(SpiffeWorkloadAPI, { fetchX509SVID: (_, { signal }) => api.#serve(signal) });
    api.#close = await listenGrpcUnix({
      path: `${api.#folder}/api.sock`,
      mode: 0o600,
      option: 'test',
      log,
      identify: () => null,
      onConnection: (socket) => api.#server.serve(socket, null),
    });
    return api;
  }

  /** Gives something new to whoever is connected, and to whoever connects. */
  give(update: Partial<Given>): Given {
    this.#given = { ...this.#given, ...update };
    for (const wake of this.#wakers) wake();
    return this.#given;
  }

  async stop(): Promise<void> {
    this.#close?.();
    this.#server.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async *#serve(signal: AbortSignal) {
    for (let sent: Given | undefined; !signal.aborted;) {
      if (sent !== this.#given) {
        sent = this.#given;
        yield {
          svids: [
            {
              spiffeId: sent.svid.id,
              x509Svid: concat(sent.svid.certificates),
              x509SvidKey: sent.svid.privateKey,
              bundle: concat(sent.bundle.map(({ certificate }) => certificate.der)),
            },
          ],
        };
        continue;
      }
      let wake = () => {};
      const changed = new Promise<void>((resolve) => (wake = resolve));
      this.#wakers.add(wake);
      signal.addEventListener('abort', wake, { once: true });
      await changed;
      this.#wakers.delete(wake);
    }
  }
}
