// The node attestors that a server knows.
import { joinTokenAttestor, type JoinTokenAttestorOptions } from './join_token/server.ts';
import type { NodeAttestorServer } from './node-attestor-server.ts';

/** What the attestors need from the server. */
export interface NodeAttestorServices {
  readonly joinTokens: JoinTokenAttestorOptions;
}

/** The attestors by type. */
export function nodeAttestorServers(services: NodeAttestorServices): ReadonlyMap<string, NodeAttestorServer> {
  const attestors = [joinTokenAttestor(services.joinTokens)];
  return new Map(attestors.map((attestor) => [attestor.type, attestor]));
}
