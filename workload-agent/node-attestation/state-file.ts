// The agent's state on disk: mode 0600, replaced as a whole. A damaged file is set aside, never fatal: the agent then
// attests as a new one does.
import { readFile, rename } from 'node:fs/promises';
import { writePrivateFile } from '../../daemon/files.ts';
import type { Logger } from '../../daemon/log.ts';
import { messageOf } from '../../sdk/error.ts';
import type { TrustDomain } from '../../sdk/spiffe-id.ts';
import { parseAgentState, serializeAgentState, type AgentState } from './agent-state.ts';

/** Where a state is kept. */
export interface AgentStateFile {
  load(): Promise<AgentState | undefined>;
  save(state: AgentState): Promise<void>;
}

export function agentStateFile(file: string, trustDomain: TrustDomain, log: Logger): AgentStateFile {
  return {
    async load() {
      let text: string;
      try {
        text = await readFile(file, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw new Error(`the state file ${file} cannot be read: ${messageOf(error)}`, { cause: error });
      }
      try {
        return parseAgentState(text, trustDomain);
      } catch (error) {
        const aside = `${file}.damaged`;
        await rename(file, aside);
        log.warn(
          { file, set_aside_as: aside, reason: messageOf(error) },
          'the state file cannot be used and was set aside; this agent attests anew',
        );
        return undefined;
      }
    },
    save: (state) => writePrivateFile(file, serializeAgentState(state)),
  };
}
