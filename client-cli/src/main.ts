import path from 'node:path'
import { loadBundle } from './bundle.ts'
import { cairnVersion } from './version.ts'

/** The name of the file beside this one that holds everything else; not defined when run from source or as a single file. */
declare const CAIRN_BUNDLE: string | undefined

// The one place of the CLI that touches the process: its arguments, environment, streams, signals and end.
const argv = process.argv.slice(2)

if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) process.stdout.write(`${cairnVersion()}\n`)
else void run()

async function run(): Promise<void> {
  const { runCairn } =
    typeof CAIRN_BUNDLE === 'string' ? loadBundle(path.join(import.meta.dirname, CAIRN_BUNDLE)) : await import('./run-cairn.ts')
  await runCairn(argv, process.env)
}
