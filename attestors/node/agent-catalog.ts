// The node attestors that an agent can prove itself by.
import { createJoinTokenAgent, type JoinTokenAgentOptions } from './join_token/agent.ts';
import type { NodeAttestorAgent } from './node-attestor-agent.ts';

/** Which attestor, and its settings. */
export type NodeAttestorAgentChoice = { readonly type: 'join_token' } & JoinTokenAgentOptions;

export function createNodeAttestorAgent(choice: NodeAttestorAgentChoice): NodeAttestorAgent {
  switch (choice.type) {
    case 'join_token':
      return createJoinTokenAgent(choice);
  }
}
