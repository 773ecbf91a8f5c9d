// Policy text to a checked policy.
import { readDocument } from '../document.ts';
import { SpiffeError } from '../error.ts';
import { policySchema, type Policy } from './schema.ts';

/**
 * Reads a policy (YAML, of which JSON is a part). `fileName` is for messages.
 *
 * @throws SpiffeError `ERR_POLICY`, one line a problem: `file:line:column: what is wrong and what is allowed`.
 */
export function parsePolicy(text: string, fileName: string): Policy {
  const result = readDocument(policySchema, text, fileName);
  if (result.problems !== undefined) throw new SpiffeError('ERR_POLICY', result.problems.join('\n'));
  return result.value;
}
