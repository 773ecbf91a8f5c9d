// The node attestors that a server knows.
import { joinTokenAttestor, type JoinTokenAttestorOptions } from './join_token/server.ts';
import type { NodeAttestorServer } from './node-attestor-server.ts';
import { x509popAttestor, type X509popOptions } from './x509pop/server.ts';

/** What the attestors need from the server. */
export interface NodeAttestorServices {
  readonly joinTokens: JoinTokenAttestorOptions;
  /** Absent: nodes cannot attest by certificate. */
  readonly x509pop?: X509popOptions;
}

/** The attestors by type. */
export function nodeAttestorServers(services: NodeAttestorServices): ReadonlyMap<string, NodeAttestorServer> {
  const { joinTokens, x509pop } = services;
  const attestors = [
    joinTokenAttestor(joinTokens),
    ...(x509pop === undefined ? [] : [x509popAttestor(x509pop)]),
  ];
  return new Map(attestors.map((attestor) => [attestor.type, attestor]));
}
