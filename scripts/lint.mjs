// Types, rules and format, in this order; all are said, and one that fails makes the whole fail.
import { spawnSync } from 'node:child_process'

const checks = {
  'types (tsc)': ['node_modules/.bin/tsc', ['-p', '.']],
  'types of the CLI, as its oldest Node has them (tsc)': ['node_modules/.bin/tsc', ['-p', 'client-cli']],
  'rules (oxlint)': ['node_modules/.bin/oxlint', ['--type-aware', '--deny-warnings', '--report-unused-disable-directives']],
  'format (prettier; npm run format repairs it)': ['node_modules/.bin/prettier', ['--check', '--log-level=warn', '.']],
}

let failed = 0
for (const [name, [file, args]] of Object.entries(checks)) {
  const { status, error } = spawnSync(file, args, { stdio: 'inherit', shell: process.platform === 'win32' })
  if (status === 0) continue
  console.error(`lint: ${name} failed${error ? `: ${error.message}` : ''}`)
  failed++
}
console.error(failed === 0 ? 'lint: clean' : `lint: ${failed} of ${Object.keys(checks).length} checks failed`)
process.exit(failed === 0 ? 0 : 1)
