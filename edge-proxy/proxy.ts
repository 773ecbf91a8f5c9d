// Puts a proxy together: listeners, their apps and upstreams, around one identity.
import process from 'node:process';
import type { Logger } from '../daemon/log.ts';
import { createOccasionalLog } from '../daemon/occasional-log.ts';
import { messageOf } from '../sdk/error.ts';
import type { CompiledPolicy } from '../sdk/policy/policy.ts';
import { createAdminApp, type OwnIdentity } from './admin.ts';
import type { EdgeProxyConfig } from './config.ts';
import { createInboundApp } from './inbound.ts';
import type { Direction } from './listener/exchange.ts';
import { openListener, type OpenListener } from './listener/listener.ts';
import { DEFAULT_TIMEOUTS, type ExchangeHandler, type Timeouts } from './listener/settings.ts';
import { createOutboundApp } from './outbound.ts';
import { createStats, type Stats } from './stats.ts';
import type { Address } from './transport/address.ts';
import type { TlsMaterial, TlsSettings, Transport } from './transport/socket.ts';
import { acceptMesh, acceptOnly, type IdentitySource } from './upstream/accept.ts';
import { Upstream } from './upstream/upstream.ts';

/** The identity of the proxy, which comes and changes while it runs. */
export interface ProxyIdentity extends IdentitySource {
  current(): TlsMaterial & OwnIdentity;
}

/** What a proxy is made of. */
export interface ProxyParts {
  readonly config: EdgeProxyConfig;
  /** By the name of the inbound listener. */
  readonly policies: ReadonlyMap<string, CompiledPolicy>;
  readonly identity: ProxyIdentity;
  readonly transport: Transport;
  readonly log: Logger;
  /** Milliseconds since 1970. Default Date.now. */
  readonly now?: () => number;
  /** Where they differ from the defaults. */
  readonly timeouts?: Partial<Timeouts>;
}

/** A proxy that serves. */
export interface Proxy {
  readonly stats: Stats;
  /** By listener name; `admin` for the admin listener. */
  readonly addresses: ReadonlyMap<string, Address>;
  /** Call when the identity changed: pooled connections that present the old one retire. */
  identityChanged(): void;
  /** Stops accepting and lets requests in flight end, for so many milliseconds. */
  drain(milliseconds: number): Promise<void>;
}

const UPSTREAM_LIMITS = { maxConnections: 1_024, maxIdle: 32, idleTimeout: 30_000 };
const UPSTREAM_TIMEOUTS = { connect: 5_000, response: 60_000 };
const HANDSHAKE_TIMEOUT = 10_000;
const ADMIN_CONNECTIONS = 16;

/**
 * Binds every listener of the configuration.
 *
 * @throws Error that names the address and the configuration key of a listener that cannot be bound; what was bound
 * before is closed.
 */
export async function startProxy(parts: ProxyParts): Promise<Proxy> {
  const { config, identity, transport, log, now = Date.now } = parts;
  const stats = createStats();
  const refusals = createOccasionalLog();
  const listeners: OpenListener[] = [];
  const upstreams: Upstream[] = [];
  let bound = false;

  const connect = (address: Address, tls?: TlsSettings): Upstream => {
    const options = { address, tls, transport, now, random: Math.random, timeouts: UPSTREAM_TIMEOUTS };
    const upstream = new Upstream({ ...options, ...UPSTREAM_LIMITS });
    upstreams.push(upstream);
    return upstream;
  };
  const open = async (spec: ListenerSpec) => {
    const { name, direction, key, tls } = spec;
    const where = { listener: name, direction };
    const listener = await openListener({
      ...spec,
      transport,
      now,
      timeouts: { ...DEFAULT_TIMEOUTS, ...parts.timeouts },
      handshakeTimeout: HANDSHAKE_TIMEOUT,
      onAccepted: () => stats.connections.accepted++,
      onRefused({ remoteAddress, error, reason }) {
        stats.connections.refused++;
        // Once a minute for each cause and host: anybody on the network could fill the log.
        refusals(`${where.listener} ${remoteAddress.replace(/:\d+$/, '')} ${error.message}`, () =>
          log.warn(
            { ...where, remote_address: remoteAddress, reason: error.message, refused: reason },
            'connection refused',
          ),
        );
      },
      onMalformed({ id, origin, status, reason }) {
        stats.malformed_requests++;
        const peer = origin.peer?.id;
        log.info({ request_id: id, ...where, peer, status, verdict: 'deny', rule: 'malformed', reason });
      },
      onBytes(count) {
        if (tls !== undefined) stats.application_bytes_received += count;
      },
    }).catch((error: unknown) => {
      throw new Error(`${key}: ${messageOf(error)}`, { cause: error });
    });
    listeners.push(listener);
  };
  const drain = async (milliseconds: number) => {
    bound = false;
    await Promise.all(listeners.map((listener) => listener.drain(milliseconds)));
    for (const upstream of upstreams) upstream.close();
  };

  try {
    for (const [index, { name, listen, application, max_connections }] of config.inbound.entries()) {
      const policy = parts.policies.get(name);
      if (policy === undefined) throw new TypeError(`there is no policy for the listener ${name}`);
      await open({
        name,
        direction: 'inbound',
        key: `inbound.${index}.listen`,
        address: listen,
        tls: acceptMesh(identity, now),
        maxConnections: max_connections,
        handler: createInboundApp({ log, stats, policy: () => policy, application: connect(application) }),
      });
    }
    for (const [index, { name, listen, upstream, max_connections }] of config.outbound.entries()) {
      const tls = acceptOnly(upstream.accept, identity, now);
      await open({
        name,
        direction: 'outbound',
        key: `outbound.${index}.listen`,
        address: listen,
        maxConnections: max_connections,
        handler: createOutboundApp({ log, stats, upstream: connect(upstream.address, tls) }),
      });
    }
    if (config.admin !== undefined) {
      await open({
        name: 'admin',
        direction: 'admin',
        key: 'admin',
        address: config.admin,
        maxConnections: ADMIN_CONNECTIONS,
        handler: createAdminApp({
          stats,
          process: { pid: process.pid, runtime: runtimeOf(transport) },
          identity: () => currentOf(identity),
          ready: () => bound && currentOf(identity) !== undefined,
        }),
      });
    }
  } catch (error) {
    await drain(0);
    throw error;
  }
  bound = true;
  return {
    stats,
    addresses: new Map(listeners.map(({ name, address }) => [name, address])),
    identityChanged() {
      for (const upstream of upstreams) upstream.retireStale();
    },
    drain,
  };
}

interface ListenerSpec {
  readonly name: string;
  readonly direction: Direction;
  /** The configuration key that says where it listens. */
  readonly key: string;
  readonly address: Address;
  readonly tls?: TlsSettings;
  readonly maxConnections: number;
  readonly handler: ExchangeHandler;
}

function currentOf(identity: ProxyIdentity): OwnIdentity | undefined {
  try {
    return identity.current();
  } catch {
    return undefined;
  }
}

function runtimeOf({ runtime }: Transport): string {
  const { versions } = process as { versions: Record<string, string | undefined> };
  return `${runtime} ${versions[runtime] ?? ''}`.trim();
}
