import module from 'node:module'
import { cairnVersion } from './version.ts'

// The one place of the CLI that touches the process: its arguments, environment, streams, signals and end.
const argv = process.argv.slice(2)

if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
  process.stdout.write(`${cairnVersion()}\n`)
} else {
  // Node 20 has no compile cache.
  module.enableCompileCache?.()
  const { runCairn } = await import('./run-cairn.ts')
  await runCairn(argv, process.env)
}
