// vitest.config.ts: how the tests are run.
//
// Vitest's own workers have eleven threads and are never forked from: a test that forks starts a
// fixture program (test/harness/), which globalSetup compiles once, with the library, before.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/harness/compile.ts'],
    // Two files at a time: a program under test is itself a tree of busy processes.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
