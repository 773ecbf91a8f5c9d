// The agent's heartbeat: keep the own SVID, sync, renew, and after a failure try again for ever, a little later each
// time. Nothing that the server does or fails to do ends the agent.
import type { Logger } from '../daemon/log.ts';
import { createBackoff, delay } from '../sdk/backoff.ts';
import { denialOf } from './node-attestation/denial.ts';
import { failureText } from './node-attestation/failure-text.ts';
import type { NodeIdentity } from './node-attestation/node-identity.ts';
import { retryCeiling } from './renewal.ts';
import type { SvidCache } from './svid-cache/svid-cache.ts';
import type { EarlySync } from './sync/early-sync.ts';
import { pauseAfterFailure } from './sync/push-reconnect.ts';
import type { PushFollower } from './sync/push.ts';
import type { Synchronizer } from './sync/synchronizer.ts';
import { createOccasionalLog } from '../daemon/occasional-log.ts';

/** Options of {@link runAgentLoop}. */
export interface AgentLoopOptions {
  readonly identity: NodeIdentity;
  readonly synchronizer: Synchronizer;
  /** The server's stream of changes; while it lives, nothing is polled. */
  readonly push: PushFollower;
  readonly cache: SvidCache;
  readonly syncInterval: number;
  /** Syncs that callers ask for before they are due. */
  readonly early: EarlySync;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Called once, after the first sync. */
  readonly onReady: () => void;
  readonly now?: () => number;
  readonly random?: () => number;
}

export async function runAgentLoop(options: AgentLoopOptions): Promise<void> {
  const { identity, synchronizer, push, early, signal, now = Date.now, random = Math.random } = options;
  const failures = createOccasionalLog();
  let backoff = createBackoff({ random, max: FIRST_CEILING });
  let failing = false;
  let ready = false;
  let nextSync = 0;
  while (!signal.aborted) {
    let wait: number;
    let seen = push.version;
    try {
      await identity.maintain(signal);
      const isPushed = await follow(options);
      seen = push.version;
      if (isPushed) {
        // Who asked for a look has what was written before, once what is on its way has come.
        const isAsked = now() >= early.due;
        if (isAsked) await delay(PUSH_GRACE, signal);
        seen = push.version;
        const tellThoseWhoAsked = isAsked ? early.begin() : () => {};
        await synchronizer.renew(signal).finally(tellThoseWhoAsked);
        nextSync = 0;
      } else if (now() >= Math.min(nextSync, early.due)) {
        const tellThoseWhoAsked = early.begin();
        await synchronizer.sync(signal).finally(tellThoseWhoAsked);
        nextSync = now() + options.syncInterval * (0.9 + 0.2 * random());
      } else {
        await synchronizer.renew(signal);
      }
      identity.accept();
      if (failing) options.log.info('the server answers again');
      failing = false;
      backoff = createBackoff({
        random,
        max: retryCeiling(options.syncInterval, shortestLifetime(options, now())),
      });
      if (!ready) options.onReady();
      ready = true;
      const due = Math.min(
        isPushed ? Infinity : nextSync,
        early.due,
        synchronizer.nextRenewal(),
        identity.renewAt,
      );
      // A clock that was set back must not put us to sleep for longer than a sync.
      wait = Math.min(Math.max(due - now(), MIN_WAIT), options.syncInterval * 1.1);
    } catch (error) {
      if (signal.aborted) return;
      wait = pauseAfterFailure({ isFirst: !failing, broke: push.broke }, backoff, random);
      failing = true;
      nextSync = 0;
      seen = push.version;
      react(error, options, failures);
    }
    if (push.version === seen) await sleep(wait, options);
  }
}

// A request for an early sync ends the sleep; its own interval then decides when it is due.
async function sleep(wait: number, { early, push, signal }: AgentLoopOptions): Promise<void> {
  const waking = new AbortController();
  early.onRequest(() => waking.abort());
  push.onChange(() => waking.abort());
  await delay(wait, AbortSignal.any([signal, waking.signal]));
  early.onRequest(() => {});
  push.onChange(() => {});
}

// SVIDs are renewed whether or not the stream can be opened: a server without its database can sign, but it cannot tell
// what an agent has missed.
async function follow({ push, synchronizer, signal }: AgentLoopOptions): Promise<boolean> {
  try {
    return await push.follow(signal);
  } catch (error) {
    if (denialOf(error) === undefined) await synchronizer.renew(signal).catch(() => {});
    throw error;
  }
}

const MIN_WAIT = 20;
// How long what was written a moment ago may be on its way.
const PUSH_GRACE = 50;
// Until the first sync nobody can be served, so the server is asked often.
const FIRST_CEILING = 5_000;

function react(
  error: unknown,
  { identity, cache, log }: AgentLoopOptions,
  failures: ReturnType<typeof createOccasionalLog>,
): void {
  // Whatever stands may be half dead: the next attempt dials.
  identity.connection.drop();
  const denial = denialOf(error);
  if (denial !== undefined) {
    identity.deny(denial);
    // A ban or an eviction is the server's word about now; silence would not be.
    if (denial !== 'must-attest-again') cache.withdraw();
  }
  const reason = failureText(error);
  failures(reason, () => log.warn({ reason }, 'could not sync with the server; trying again'));
}

function shortestLifetime({ cache }: AgentLoopOptions, now: number): number {
  let shortest = Infinity;
  for (const { notAfter } of cache.svids.values()) shortest = Math.min(shortest, notAfter - now);
  return Math.max(shortest, 10_000);
}
