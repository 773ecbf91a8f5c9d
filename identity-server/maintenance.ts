// What the server does by itself, from time to time: rotate, prune, compact.
import type { Logger } from '../daemon/log.ts';
import type { TlsListener } from '../daemon/grpc/tls-listener.ts';
import type { ServerSvid } from './ca/server-svid.ts';
import type { CertificateAuthority } from './ca/certificate-authority.ts';
import { isExpired } from './entry/authorized.ts';
import type { Registry } from './entry/registry.ts';
import type { Store } from './store/store.ts';

/** Options of {@link startMaintenance}. Durations are milliseconds. */
export interface MaintenanceOptions {
  readonly ca: Pick<CertificateAuthority, 'tick'>;
  readonly svid: ServerSvid;
  readonly listener: Pick<TlsListener, 'setIdentity'>;
  readonly store: Store;
  readonly registry: Registry;
  readonly log: Logger;
  /** Between two looks at what may be due to rotate. */
  readonly rotationInterval: number;
  readonly now: () => number;
}

const PRUNE_INTERVAL = 300_000;
/** Seconds that a clock must jump by to be worth a line. */
const NOTED_JUMP = 5;
/** Changes that stay in the log for readers that lag. */
const KEPT_CHANGES = 100_000;

/** Starts the timers; the returned function stops them. A failure is logged and tried again at the next turn. */
export function startMaintenance(options: MaintenanceOptions): () => void {
  const every = (interval: number, what: string, run: () => Promise<void>) => {
    let running = false;
    const turn = async () => {
      // With the database gone a turn can take longer than until the next.
      if (running) return;
      running = true;
      try {
        await run();
      } catch (err) {
        options.log.error({ err }, `${what} failed; it will be tried again`);
      } finally {
        running = false;
      }
    };
    const timer = setInterval(() => void turn(), interval);
    return () => clearInterval(timer);
  };
  const stops = [
    every(options.rotationInterval, 'rotation of authorities', () => options.ca.tick()),
    every(options.rotationInterval, "rotation of the server's SVID", () => renewServerSvid(options)),
    every(options.rotationInterval, 'the look at the clock', clockWatch(options)),
    every(PRUNE_INTERVAL, 'pruning', () => prune(options)),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

// Certificates, tokens and expiries all hang on the clock: who sets it should hear of it here.
function clockWatch({ now, log }: MaintenanceOptions): () => Promise<void> {
  let [wall, steady] = [now(), performance.now()];
  return async () => {
    const [wallNow, steadyNow] = [now(), performance.now()];
    const jump = Math.round((wallNow - wall - (steadyNow - steady)) / 1_000);
    [wall, steady] = [wallNow, steadyNow];
    if (Math.abs(jump) < NOTED_JUMP) return;
    log.warn(
      { jump_seconds: jump },
      `the clock was set ${jump < 0 ? 'back' : 'forward'} by ${Math.abs(jump)} s: what expired meanwhile is judged by it`,
    );
  };
}

// Apart from the authorities, which need the database: agents must find a valid certificate while it is gone.
async function renewServerSvid({ svid, listener, log }: MaintenanceOptions): Promise<void> {
  if (!svid.isDue) return;
  listener.setIdentity(await svid.renew());
  log.debug('renewed the SVID of the server');
}

/** Deletes expired entries and tokens, and log lines that nobody needs any more. */
export async function prune({
  store,
  registry,
  log,
  now,
}: Pick<MaintenanceOptions, 'store' | 'registry' | 'log' | 'now'>): Promise<void> {
  const seconds = Math.floor(now() / 1_000);
  const expired = [...registry.entries.all()].filter((entry) => isExpired(entry, seconds));
  if (expired.length > 0) {
    const deleted = await store.deleteEntries(expired.map(({ id }) => id));
    await registry.catchUp();
    for (const [index, { id, spiffeId }] of expired.entries()) {
      // Another server may have been faster.
      if (deleted[index] !== true) continue;
      log.info({ entry_id: id, spiffe_id: spiffeId }, 'pruned an expired registration entry');
    }
  }
  await store.deleteJoinTokensExpiredBefore(seconds);
  const revision = registry.position?.revision ?? 0;
  if (revision > KEPT_CHANGES) await store.compact(revision - KEPT_CHANGES);
}
