// Waiting for something that another process or socket will do: asked again and again, with an end.

/** Resolves with the first value of `ask` that is neither undefined nor false. */
export async function eventually<T>(
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  options: { timeout?: number; what?: string } = {},
): Promise<T> {
  const deadline = performance.now() + (options.timeout ?? 10_000);
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`never happened: ${options.what ?? ask.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
