// Proxies around test identities: the real listeners, layers and sockets, without an agent.
import { createLog } from '../../daemon/log.ts';
import { parseX509Bundle, x509BundleSet } from '../../sdk/bundle/x509-bundle.ts';
import { compilePolicy, parsePolicy } from '../../sdk/policy/policy.ts';
import { edgeProxyConfigSchema } from '../config.ts';
import type { Timeouts } from '../listener/settings.ts';
import { startProxy, type Proxy, type ProxyIdentity } from '../proxy.ts';
import { loadTransport } from '../transport/transport.ts';
import { formatAddress, type Address } from '../transport/address.ts';
import { createAuthority, type CertificateShape, type Issued } from './certificates.ts';

/** One log line. */
export type LogLine = Readonly<Record<string, unknown>>;

/** A proxy with its log. */
export interface TestProxy extends Proxy {
  readonly lines: readonly LogLine[];
  /** Gives it a new SVID of the same or another ID. */
  rotate(shape?: CertificateShape): void;
}

/** Options of {@link TestMesh.start}. */
export interface TestProxyOptions {
  /** The SPIFFE ID of the proxy; undefined: it has no identity yet. */
  readonly id?: string;
  readonly shape?: CertificateShape;
  readonly policy?: string;
  readonly inbound?: readonly object[];
  readonly outbound?: readonly object[];
  readonly admin?: string;
  /** Default Date.now. */
  readonly now?: () => number;
  readonly timeouts?: Partial<Timeouts>;
}

/** One trust domain and the proxies in it. */
export class TestMesh {
  readonly authority: Issued = createAuthority('example.org');
  readonly #proxies: Proxy[] = [];

  async start(options: TestProxyOptions): Promise<TestProxy> {
    const { id, shape, policy, inbound = [], outbound = [], admin, now, timeouts } = options;
    const config = edgeProxyConfigSchema.parse({
      inbound: inbound.map((listener) => ({ policy: 'test', ...listener })),
      outbound,
      admin,
    });
    const lines: LogLine[] = [];
    const bundles = x509BundleSet([parseX509Bundle('example.org', this.authority.certificate)]);
    let current = id === undefined ? undefined : this.#identity(id, shape);
    const identity: ProxyIdentity = {
      current() {
        if (current === undefined || current.notAfter < (now ?? Date.now)()) throw new Error('no identity');
        return current;
      },
      x509Bundle: (trustDomain) => bundles.x509Bundle(trustDomain),
    };
    const proxy = await startProxy({
      config,
      policies: new Map(
        config.inbound.map(({ name }) => [
          name,
          compilePolicy(parsePolicy(policy ?? ALLOW_ALL, 'test.policy.yaml')),
        ]),
      ),
      identity,
      transport: await loadTransport(),
      log: createLog({
        name: 'edge-proxy',
        destination: { write: (line) => void lines.push(JSON.parse(line) as LogLine) },
      }),
      now,
      timeouts,
    });
    this.#proxies.push(proxy);
    return {
      ...proxy,
      lines,
      rotate: (shape) => {
        current = this.#identity(shape?.uris?.[0] ?? id!, shape);
        proxy.identityChanged();
      },
    };
  }

  async stop(): Promise<void> {
    await Promise.all(this.#proxies.splice(0).map((proxy) => proxy.drain(0)));
  }

  #identity(id: string, shape?: CertificateShape) {
    const issued = this.authority.issue({ uris: [id], ...shape });
    const { chain, privateKey, serial, notBefore, notAfter } = issued;
    return { id, certificates: chain, privateKey, serial, notBefore, notAfter };
  }
}

/** Every member of the trust domain may do everything. */
export const ALLOW_ALL = `
version: sigil.policy/v1
service: spiffe://example.org/server
allow:
  - { id: everyone, from: ['spiffe://example.org/**'] }
`;

/** The text form of a listener's address. */
export function addressOf(proxy: Proxy, name: string): Address {
  return proxy.addresses.get(name)!;
}

/** As {@link addressOf}, as text for a configuration. */
export function addressText(proxy: Proxy, name: string): string {
  return formatAddress(addressOf(proxy, name));
}
