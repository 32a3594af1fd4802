import { defineConfig } from 'vitest/config'

/** The slow suites, against the real parts that scripts/real-parts.mjs installs and starts. One file at a time: they share two cores. */
export default defineConfig({
  test: {
    // Completion is among the quick ones too, which skip the shells that are not there.
    include: ['test/**/*.{real,slow}.test.ts', 'test/e2e/completion.test.ts'],
    testTimeout: 600_000,
    hookTimeout: 600_000,
    pool: 'forks',
    maxWorkers: 1,
    fileParallelism: false,
    passWithNoTests: false,
    // Suites that kill processes meet the machine's mood. Where a change is judged, a failure has to repeat itself; it is printed either way.
    retry: process.env['CI'] ? 1 : 0,
  },
})
