// Hears of other servers' commits (LISTEN), over a connection of its own that is made again whenever it breaks.
import { setTimeout as pause } from 'node:timers/promises';
import { clientConfig, ImpatientClient } from './database.ts';
import type { DatabaseSettings } from '../settings.ts';

/** The channel on which commits are announced. */
export const CHANNEL = 'sigil_changes';

// Milliseconds. A connection that died silently is found out by asking.
const ASKED_EVERY = 5_000;
const PAUSE = 500;

/** Who listens. */
export interface Listener {
  /** The payload of our own announcements, of which we need not hear. */
  readonly self: string;
  readonly wake: () => void;
}

/** Calls `wake` at each announcement, and after each new connection, since some may have been missed. */
export function listenForChanges(settings: DatabaseSettings, listener: Listener): AsyncDisposable {
  const controller = new AbortController();
  const { signal } = controller;
  const running = (async () => {
    while (!signal.aborted) {
      await listenOnce(settings, listener, signal).catch(() => {});
      await pause(PAUSE, undefined, { signal }).catch(() => {});
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      controller.abort();
      await running;
    },
  };
}

async function listenOnce(
  settings: DatabaseSettings,
  { self, wake }: Listener,
  signal: AbortSignal,
): Promise<void> {
  const client = new ImpatientClient(clientConfig(settings));
  const ended = new AbortController();
  client.on('notification', ({ payload }) => payload !== self && wake());
  client.on('end', () => ended.abort());
  try {
    await client.connect();
    await client.query(`LISTEN ${CHANNEL}`);
    wake();
    for (;;) {
      await pause(ASKED_EVERY, undefined, { signal: AbortSignal.any([signal, ended.signal]) });
      await client.query('SELECT 1');
    }
  } finally {
    void client.end().catch(() => {});
  }
}
