// The server of bench:issue, in a process of its own so that it can be pinned to one core. Told what to do over IPC.
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { createLog } from '../../daemon/log.ts';
import { identityServerConfigSchema } from '../../identity-server/config.ts';
import { startIdentityServer } from '../../identity-server/server.ts';

/** What the benchmark asks for. */
export type Command =
  | { readonly kind: 'start'; readonly folder: string }
  /** What the core can do at best: import a fresh public key, verify a signature, sign; for so many milliseconds. */
  | { readonly kind: 'limit'; readonly milliseconds: number }
  /** Begins to count processor time. */
  | { readonly kind: 'reset' }
  /** Begins to look for the longest hold of the event loop, or ends that. */
  | { readonly kind: 'probe'; readonly on: boolean }
  | { readonly kind: 'stats' };

export type Answer =
  | { readonly kind: 'started'; readonly port: number; readonly socketPath: string }
  | { readonly kind: 'limit'; readonly perSecond: number }
  | { readonly kind: 'stats'; readonly cpuSeconds: number }
  | { readonly kind: 'probe'; readonly longest: number };

let cpu = process.cpuUsage();
let probing = false;
let longest = 0;

// The longest turn of the loop since the last look.
function probe(): void {
  const before = performance.now();
  setImmediate(() => {
    longest = Math.max(longest, performance.now() - before);
    if (probing) probe();
  });
}

async function answer(command: Command): Promise<Answer | undefined> {
  switch (command.kind) {
    case 'start': {
      const config = identityServerConfigSchema.parse({
        trust_domain: 'example.org',
        data_dir: command.folder,
        listen: '127.0.0.1:0',
        rate_limits: { attestation: 0, signing: 0 },
        log_level: 'error',
      });
      const server = await startIdentityServer(config, { log: createLog({ name: 'bench', level: 'error' }) });
      return { kind: 'started', port: server.port, socketPath: server.socketPath };
    }
    case 'limit':
      return { kind: 'limit', perSecond: cryptoLimit(command.milliseconds) };
    case 'reset':
      cpu = process.cpuUsage();
      return undefined;
    case 'probe':
      probing = command.on;
      if (!probing) return { kind: 'probe', longest };
      longest = 0;
      probe();
      return undefined;
    case 'stats': {
      const { user, system } = process.cpuUsage(cpu);
      return { kind: 'stats', cpuSeconds: (user + system) / 1e6 };
    }
  }
}

function cryptoLimit(milliseconds: number): number {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const data = new Uint8Array(400).fill(7);
  const requests = Array.from({ length: 64 }, () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return {
      spki: publicKey.export({ type: 'spki', format: 'der' }),
      signature: sign('sha256', data, privateKey),
    };
  });
  const started = performance.now();
  let done = 0;
  while (performance.now() - started < milliseconds) {
    for (const { spki, signature } of requests) {
      const key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
      if (!verify('sha256', data, key, signature)) throw new Error('a signature does not verify');
      sign('sha256', data, authority);
    }
    done += requests.length;
  }
  return (done * 1_000) / (performance.now() - started);
}

process.on('message', (command: Command) => {
  void answer(command).then((result) => process.send!(result ?? { kind: 'done' }));
});
process.on('disconnect', () => process.exit());
