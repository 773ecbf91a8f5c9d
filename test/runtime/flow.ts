// Requests that go on and on, on kept connections and on new ones, counted.
import { createFetch } from '../../sdk/fetch/index.ts';
import type { Authorizer, TlsSource } from '../../sdk/tls/index.ts';

/** Requests under way. */
export interface Flow {
  /** Resolves once so many more have succeeded of each kind, or one is lost. */
  more(requests: number): Promise<void>;
  stop(): Promise<{ kept: number; fresh: number; lost: string[] }>;
}

/** Calls a server from now on: one loop keeps its connections, the other makes a new one for each request. */
export function startFlow(options: { source: TlsSource; authorize: Authorizer; port: number }): Flow {
  const { port, ...identity } = options;
  const counts = { kept: 0, fresh: 0, lost: [] as string[] };
  const watchers = new Set<() => void>();
  const state = { running: true };
  const keeping = createFetch(identity);
  const count = async (kind: 'kept' | 'fresh', request: () => Promise<Response>) => {
    try {
      const response = await request();
      if (response.status !== 200 || (await response.text()) === '')
        throw new Error(`status ${response.status}`);
      counts[kind]++;
    } catch (error) {
      const { message, cause } = error as Error;
      counts.lost.push(`${kind}: ${message} (${String(cause)})`);
    }
    for (const watch of watchers) watch();
  };
  const url = `https://127.0.0.1:${port}/`;
  // fetch never sends a POST again: what is lost here is lost.
  const post = { method: 'POST', body: 'x' };
  const loops = [
    (async () => {
      while (state.running) await count('kept', () => keeping(url, post));
    })(),
    (async () => {
      while (state.running) {
        const once = createFetch(identity);
        await count('fresh', () => once(url));
        once.close();
      }
    })(),
  ];
  return {
    more(requests) {
      const [kept, fresh] = [counts.kept + requests, counts.fresh + requests];
      return new Promise((resolve) => {
        const watch = () => {
          if ((counts.kept < kept || counts.fresh < fresh) && counts.lost.length === 0) return;
          watchers.delete(watch);
          resolve();
        };
        watchers.add(watch);
        watch();
      });
    },
    async stop() {
      state.running = false;
      await Promise.all(loops);
      keeping.close();
      return counts;
    },
  };
}
