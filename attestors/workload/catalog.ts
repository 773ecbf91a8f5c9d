// The workload attestors that this agent has.
import { createLaunchAttestor } from './launch/attestor.ts';
import type { LaunchRegistry } from './launch/registry.ts';
import { createUnixAttestor, type UnixAttestorOptions } from './unix/attestor.ts';
import type { WorkloadAttestor } from './workload-attestor.ts';

/** What the attestors need from the agent. */
export interface WorkloadAttestorCatalogOptions {
  readonly unix: UnixAttestorOptions;
  readonly launches: LaunchRegistry;
}

export function createWorkloadAttestors(options: WorkloadAttestorCatalogOptions): WorkloadAttestor[] {
  return [createUnixAttestor(options.unix), createLaunchAttestor(options.launches)];
}
