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

// The wire has seconds in 32 bits.
const MOST_SECONDS = 2 ** 31 - 1;

/**
 * Whole seconds of a lifetime: at least one, at most what the wire can carry.
 *
 * @throws CliError that names the option.
 */
export function parseSecondsOption(text: string, option: string): number {
  // Rounded up, as SPIRE does: half a second asked for is not none.
  const seconds = Math.ceil(parseDurationOption(text, option) / 1_000);
  if (seconds >= 1 && seconds <= MOST_SECONDS) return seconds;
  throw new CliError(
    `${option}: ${text} is too ${seconds < 1 ? 'short; 1s is the least' : 'long; 24855d is the most'}`,
    {
      exitCode: ExitCode.usage,
    },
  );
}
