import { CairnError } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { baselineOf, checkName, randomName, refuseTaken } from '../experiments/refs.ts'
import { saveExperiment } from '../experiments/save.ts'
import { jsonText } from '../pipeline/json-value.ts'
import { withExperiments } from './exp-session.ts'
import { rootRelative } from './root-relative.ts'

export const command: Command = {
  name: 'exp save',
  summary: 'Keep the workspace as it stands as an experiment, without running anything.',
  arguments: [],
  options: [
    { flags: '-n, --name <name>', summary: "The experiment's name; a random one by default." },
    { flags: '-f, --force', summary: 'Replace an experiment of the same name.' },
    { flags: '-I, --include-untracked <path>', summary: 'A file that Git does not track belongs to it too.', repeatable: true },
    { flags: '-m, --message <text>', summary: "The commit's message." },
    { flags: '--json', summary: 'Print JSON.' },
  ],
  examples: ['cairn exp save -n by-hand', 'cairn exp save -I notes.md'],
  async run(context, _args, options) {
    try {
      await withExperiments(context, 'save', async (session) => {
        const { writer, refs, repo } = session
        const baseline = baselineOf(writer)
        const name = options['name'] === undefined ? randomName(refs) : String(options['name'])
        await checkName(writer, name)
        if (options['force'] !== true) refuseTaken(refs, baseline, name)
        const untracked = Array.isArray(options['includeUntracked']) ? options['includeUntracked'].map(String) : []
        const rev = await saveExperiment(session, writer, {
          name,
          baseline,
          files: untracked.map((file) => rootRelative(repo, context.cwd, file)),
          message: options['message'] === undefined ? undefined : String(options['message']),
        })
        if (options['json'] === true) context.report({ type: 'output', text: jsonText({ ref: rev }) })
        else context.report({ type: 'result', text: `Experiment has been saved as: ${name}` })
      })
    } catch (error) {
      if (!(error instanceof CairnError) || error.code !== 'FAILED') throw error
      const { message, hint } = error
      throw new CairnError('FAILED', `failed to save experiment - ${message}`, {
        exit: 1,
        cause: error,
        ...(hint !== undefined && { hint }),
      })
    }
  },
}
