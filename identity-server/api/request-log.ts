// One line a call: who called what and how it ended. Never what was in it.
import type { Logger } from '../../daemon/log.ts';
import { nameOf, type Context } from './caller.ts';

export function requestLog(log: Logger): (context: Context, code: string, milliseconds: number) => void {
  return ({ path, caller, requestId }, code, milliseconds) => {
    const ms = Math.round(milliseconds * 10) / 10;
    log.info({ path, caller: nameOf(caller), code, ms, request_id: requestId }, 'call');
  };
}
