import type { Context, Options } from '../command.ts'
import { formatJson } from '../report/json.ts'
import { cloudStatus, describeCloudStatus } from '../transfer/cloud-status.ts'
import { selectOutputs } from './select-outputs.ts'
import { withStages } from './session.ts'
import { byRemote, chosenRemote, openCache, selectionOf, transferOptions, withRemote } from './transfer.ts'

/** `status -c`: prints what differs between the cache and the remotes. With -q the exit code is 1 when something does. */
export function printCloudStatus(context: Context, targets: readonly string[], options: Options): Promise<number> {
  return withStages(context, async ({ repo }) => {
    const cache = openCache(repo)
    try {
      const outputs = await selectOutputs(repo, selectionOf(context, targets, options, true), context)
      const groups = byRemote(outputs, chosenRemote(options))
      if (groups.size === 0) groups.set(chosenRemote(options), [])
      let clean = true
      for (const [name, group] of groups) {
        await withRemote(repo, name, context, cache, async (remote) => {
          const differences = await cloudStatus({ remote, cache, outputs: group, options: transferOptions(context, options) })
          clean &&= differences.length === 0
          const json = options['json'] === true
          const text = json
            ? formatJson(Object.fromEntries(differences.map((each) => [each.path, each.state])))
            : describeCloudStatus(differences, remote.name)
          context.report({ type: json ? 'output' : 'result', text })
        })
      }
      return context.quiet && !clean ? 1 : 0
    } finally {
      cache.close()
    }
  })
}
