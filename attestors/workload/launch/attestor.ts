// The `launch` workload attestor: `launch:name:NAME` for a process that its launcher registered.
import type { WorkloadAttestor } from '../workload-attestor.ts';
import type { LaunchRegistry } from './registry.ts';

export function createLaunchAttestor(registry: LaunchRegistry): WorkloadAttestor {
  return {
    name: 'launch',
    async attest(process) {
      const name = registry.nameOf(process);
      return name === undefined ? [] : [{ type: 'launch', value: `name:${name}` }];
    },
  };
}
