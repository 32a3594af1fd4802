// The slow suites: starts the real parts, runs the suites against them, and stops what it started (CAIRN_KEEP_PARTS=1 keeps it).
import { spawn } from 'node:child_process'
import { realPartsRun, startRealParts, stopRealParts } from './real-parts.mjs'

const theirsAlready = realPartsRun()
const parts = await startRealParts()
process.exitCode = await runSuites(process.argv.slice(2))
if (!theirsAlready && process.env.CAIRN_KEEP_PARTS !== '1') await stopRealParts()

function runSuites(args) {
  const command = ['node_modules/vitest/vitest.mjs', 'run', '--config', 'vitest.real.config.ts', ...args]
  const vitest = spawn(process.execPath, command, { stdio: 'inherit', env: { ...process.env, ...parts } })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => vitest.kill(signal))
  return new Promise((resolve) => vitest.on('exit', (code) => resolve(code ?? 143)))
}
