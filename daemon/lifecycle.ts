// Running until told to stop: by a signal, or by the end of the parent process.

/** Options of {@link runUntilSignal}. */
export interface RunOptions {
  /** Stop when standard input closes, which it does when the parent ends in any way. */
  readonly exitWithParent: boolean;
  /** Milliseconds to stop in before the process is ended all the same. Default 2,500. */
  readonly grace?: number;
}

/**
 * Runs `main` with a signal that aborts on SIGTERM, SIGINT or the parent's end; returns when `main` does.
 *
 * A second signal, or the end of the grace period, ends the process at once.
 */
export async function runUntilSignal(
  main: (signal: AbortSignal) => Promise<void>,
  options: RunOptions,
): Promise<void> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const stop = () => {
    if (controller.signal.aborted) return;
    timer = setTimeout(() => process.kill(process.pid, 'SIGKILL'), options.grace ?? 2_500);
    timer.unref();
    controller.abort(new Error('stopping'));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // A terminal that goes away must not take the process down half-way.
  process.on('SIGHUP', stop);
  if (options.exitWithParent) {
    process.stdin.on('end', stop).on('close', stop).on('error', stop);
    process.stdin.resume();
  }
  try {
    await main(controller.signal);
  } finally {
    clearTimeout(timer);
    process.off('SIGTERM', stop);
    process.off('SIGINT', stop);
    process.off('SIGHUP', stop);
    if (options.exitWithParent) process.stdin.destroy();
  }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
