// Durations that were typed, such as 90s or 1h30m.
import { parseDuration } from '../daemon/config.ts';
import { CliError, ExitCode } from './errors.ts';

/**
 * Milliseconds of a duration.
 *
 * @throws CliError that names the option.
 */
export function parseDurationOption(text: string, option: string): number {
  if (/^(\d+(ms|s|m|h|d))+$/.test(text)) return parseDuration(text);
  throw new CliError(`${option}: ${JSON.stringify(text)} is no duration; write 90s, 1h30m or 24h`, {
    exitCode: ExitCode.usage,
  });
}
