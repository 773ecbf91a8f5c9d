// The node attestors that an agent can prove itself by.
import { createJoinTokenAgent, type JoinTokenAgentOptions } from './join_token/agent.ts';
import type { NodeAttestorAgent } from './node-attestor-agent.ts';
import { createX509popAgent, type X509popAgentOptions } from './x509pop/agent.ts';

/** Which attestor, and its settings. */
export type NodeAttestorAgentChoice =
  | ({ readonly type: 'join_token' } & JoinTokenAgentOptions)
  | ({ readonly type: 'x509pop' } & X509popAgentOptions);

export function createNodeAttestorAgent(choice: NodeAttestorAgentChoice): NodeAttestorAgent {
  switch (choice.type) {
    case 'join_token':
      return createJoinTokenAgent(choice);
    case 'x509pop':
      return createX509popAgent(choice);
  }
}
