// The edge proxy: `main.ts --config edge-proxy.yaml`.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { ConfigError, loadConfig } from '../daemon/config.ts';
import { aborted, runUntilSignal } from '../daemon/lifecycle.ts';
import { createLog, type Logger } from '../daemon/log.ts';
import { runProgram } from '../daemon/program.ts';
import { messageOf, SpiffeError } from '../sdk/error.ts';
import { compilePolicy, parsePolicy, type CompiledPolicy } from '../sdk/policy/policy.ts';
import { X509Source, type SourceEvent } from '../sdk/workload-api/x509-source.ts';
import { edgeProxyConfigSchema, type EdgeProxyConfig } from './config.ts';
import { startProxy, type ProxyIdentity } from './proxy.ts';
import { formatAddress } from './transport/address.ts';
import { loadTransport } from './transport/transport.ts';

const DRAIN = 2_000;

const USAGE = `usage: edge-proxy --config FILE [--exit-with-parent]

  --config FILE        the configuration file (YAML)
  --exit-with-parent   stop when standard input closes

example: edge-proxy --config /etc/sigil/orders-proxy.yaml
`;

async function run(file: string, signal: AbortSignal): Promise<void> {
  const config = await loadConfig(edgeProxyConfigSchema, file);
  const log = createLog({ name: 'edge-proxy', level: config.log_level });
  const policies = await loadPolicies(config, resolve(file));
  let source: X509Source | undefined;
  // The listeners are bound before there is an identity: a port in use shows at once, and callers get 503, not silence.
  const identity: ProxyIdentity = {
    current() {
      if (source === undefined)
        throw new SpiffeError('ERR_NO_IDENTITY', 'the Workload API has not given an identity yet');
      return source.current();
    },
    x509Bundle: (trustDomain) => source?.x509Bundle(trustDomain),
  };
  const proxy = await startProxy({ config, policies, identity, transport: await loadTransport(), log });
  for (const [listener, address] of proxy.addresses) {
    log.info({ listener, address: formatAddress(address) }, 'listening');
  }
  try {
    source = await X509Source.open({
      endpoint: config.workload_api,
      signal,
      onEvent: (event) => tell(log, event),
    });
    source.onUpdate(() => proxy.identityChanged());
    log.info('ready');
    await aborted(signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    log.info('draining');
    await proxy.drain(DRAIN);
    await source?.close();
  }
}

async function loadPolicies(config: EdgeProxyConfig, file: string): Promise<Map<string, CompiledPolicy>> {
  const policies = new Map<string, CompiledPolicy>();
  for (const [index, { name, policy }] of config.inbound.entries()) {
    const path = resolve(dirname(file), policy);
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      throw new ConfigError(`${file}: inbound.${index}.policy: ${path} cannot be read: ${messageOf(error)}`);
    });
    try {
      policies.set(name, compilePolicy(parsePolicy(text, path)));
    } catch (error) {
      throw new ConfigError(messageOf(error));
    }
  }
  return policies;
}

function tell(log: Logger, event: SourceEvent): void {
  if (event.kind === 'updated') {
    const { id, serial, notAfter } = event.svid;
    log.info({ id, serial, not_after: new Date(notAfter).toISOString() }, 'identity updated');
  } else if (event.kind === 'denied')
    log.warn({ reason: event.reason }, 'the Workload API gives no identity');
  else
    log.warn(
      { reason: event.reason, retry_in_ms: Math.round(event.retryIn) },
      'the Workload API is interrupted',
    );
}

await runProgram(
  {
    name: 'edge-proxy',
    usage: USAGE,
    main: ({ config, exitWithParent }) => runUntilSignal((signal) => run(config, signal), { exitWithParent }),
  },
  process.argv.slice(2),
);
