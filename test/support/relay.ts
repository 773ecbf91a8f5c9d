// A TCP relay in front of a server, by which tests cut a network: with a reset, or silently, as a firewall would.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** How a relay treats bytes. */
export type RelayMode = 'open' | 'refused' | 'silent';

export interface Relay extends AsyncDisposable {
  readonly port: number;
  /** Changes what happens to connections, also to those that stand. */
  set(mode: RelayMode): void;
}

export async function startRelay(target: number): Promise<Relay> {
  let mode: RelayMode = 'open';
  const pairs = new Set<readonly [Socket, Socket]>();
  const server = createServer((near) => {
    near.on('error', () => {});
    if (mode === 'refused') {
      near.resetAndDestroy();
      return;
    }
    const far = connect(target, '127.0.0.1');
    far.on('error', () => near.destroy());
    const pair = [near, far] as const;
    pairs.add(pair);
    const forward = (from: Socket, to: Socket) => {
      from.on('data', (chunk: Uint8Array) => {
        // What a network swallowed does not come back: such a connection has had it.
        if (mode === 'open') to.write(chunk);
      });
      from.on('close', () => {
        pairs.delete(pair);
        if (mode !== 'silent') to.destroy();
      });
    };
    forward(near, far);
    forward(far, near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const end = () => {
    for (const pair of pairs) for (const socket of pair) socket.destroy();
    pairs.clear();
  };
  return {
    port: (server.address() as AddressInfo).port,
    set(next) {
      // The far ends notice only when the network is there again.
      if (next !== 'silent' || mode === 'refused') end();
      mode = next;
    },
    async [Symbol.asyncDispose]() {
      end();
      server.close();
      await once(server, 'close');
    },
  };
}
