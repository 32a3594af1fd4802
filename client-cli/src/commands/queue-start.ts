import type { Command } from '../command.ts'
import { withExperiments } from './exp-session.ts'
import { runAll } from './exp-run.ts'

export const command: Command = {
  name: 'queue start',
  summary: 'Run every queued experiment, each in a copy of the repository.',
  description: "The same as 'cairn exp run --run-all': it stays until all have run, and leaves no worker behind.",
  options: [{ flags: '-j, --jobs <n>', summary: 'How many at a time; 1 by default.' }],
  examples: ['cairn queue start', 'cairn queue start -j 4'],
  run: (context, _args, options) => withExperiments(context, 'run', (session) => runAll(session, context, options)),
}
