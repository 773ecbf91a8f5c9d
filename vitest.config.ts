// Tests run on the Node that the package brings; the unit tests also run under `bun test`.
import { defineConfig } from 'vitest/config';
import { HAS_ACCOUNT } from './test/support/account.ts';

export default defineConfig({
  test: {
    include: ['**/*.test.ts'],
    exclude: ['node_modules/**', 'dist/**', ...(HAS_ACCOUNT ? [] : ['**/postgres*.test.ts'])],
    // Real processes, sockets and certificates: two at once is what two cores carry without noise.
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    execArgv: ['--disable-warning=ExperimentalWarning'],
  },
});
