// svid server, agent, proxy: the programs, each in place of this process, so that signals and exit codes are theirs.
import { runtimeCommand, type Runtime } from '../runtimes.ts';

export function server(options: { config: string }): void {
  become(runtimeCommand('node', 'identity-server/main.ts', ['--config', options.config]));
}

export function agent(options: { config: string }): void {
  become(runtimeCommand('node', 'workload-agent/main.ts', ['--config', options.config]));
}

export function proxy(options: { config: string; runtime: Runtime }): void {
  become(runtimeCommand(options.runtime, 'edge-proxy/main.ts', ['--config', options.config]));
}

// An exec keeps the process id and its start time: a name that a launcher gave stays.
function become([command, ...args]: readonly [string, ...string[]]): void {
  if (process.execve === undefined)
    throw new Error('this Node cannot exec: use the one that the package brings');
  process.execve(command, [command, ...args], process.env);
}
