// client -> outbound proxy -> mutual TLS -> inbound proxy -> application, for the tests of one file.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addressOf, addressText, TestMesh, type TestProxy, type TestProxyOptions } from './mesh.ts';
import { rawClient, type RawApplication, type RawClient } from './raw-http.ts';
import { formatAddress } from '../transport/address.ts';

export const SERVER = 'spiffe://example.org/server';
export const CLIENT = 'spiffe://example.org/client';

/** Two proxies and a connection to the outbound one. */
export interface Pair {
  readonly inbound: TestProxy;
  readonly outbound: TestProxy;
  readonly client: RawClient;
  readonly connect: () => Promise<RawClient>;
}

/** What differs from the usual pair. */
export interface PairOptions {
  readonly server?: Partial<TestProxyOptions>;
  readonly client?: Partial<TestProxyOptions>;
  readonly accept?: readonly string[];
}

/** Everything that a test file starts, and ends after each test. */
export class Bench {
  mesh = new TestMesh();
  folder = '';
  readonly #closers: (() => void)[] = [];

  async open(): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), 'sigil-proxy-'));
  }

  async reset(): Promise<void> {
    for (const close of this.#closers.splice(0)) close();
    await this.mesh.stop();
    this.mesh = new TestMesh();
  }

  async close(): Promise<void> {
    await this.reset();
    await rm(this.folder, { recursive: true });
  }

  /** Closed after the test. */
  own<T extends { close(): void }>(thing: T): T {
    this.#closers.push(() => thing.close());
    return thing;
  }

  async connect(proxy: TestProxy, name: string): Promise<RawClient> {
    const client = await rawClient(addressOf(proxy, name));
    this.#closers.push(() => client.socket.destroy());
    return client;
  }

  inbound(application: RawApplication, options: Partial<TestProxyOptions> = {}): Promise<TestProxy> {
    const listener = { name: 'in', listen: '127.0.0.1:0', application: formatAddress(application.address) };
    return this.mesh.start({ id: SERVER, inbound: [listener], ...options });
  }

  async pair(application: RawApplication, options: PairOptions = {}): Promise<Pair> {
    this.own(application);
    const inbound = await this.inbound(application, options.server);
    const upstream = { address: addressText(inbound, 'in'), accept: options.accept ?? [SERVER] };
    const listen = `unix:${join(this.folder, 'out.sock')}`;
    const outbound = await this.mesh.start({
      id: CLIENT,
      outbound: [{ name: 'out', listen, upstream }],
      ...options.client,
    });
    const connect = () => this.connect(outbound, 'out');
    return { inbound, outbound, client: await connect(), connect };
  }
}
