import { defineConfig } from 'vitest/config'

// Unit tests stand beside pure logic; everything that starts a process or a database is under test/.
// The suites that need a real Postgres, S3, Redis, dvc or Chromium are named *.real.test.ts, those that take
// half a minute by themselves *.slow.test.ts; `npm run test:real` runs both.
export default defineConfig({
  test: {
    include: [
      'protocol/src/**/*.test.ts',
      'server/src/**/*.test.ts',
      'client-cli/src/**/*.test.ts',
      'test/**/*.test.ts',
      'bench/*.test.ts',
    ],
    exclude: ['**/node_modules/**', '**/*.{real,slow}.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
    passWithNoTests: false,
    // Suites that kill processes meet the machine's mood. Where a change is judged, a failure has to repeat itself; it is printed either way.
    retry: process.env['CI'] ? 1 : 0,
  },
})
