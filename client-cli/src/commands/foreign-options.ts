import { CairnError } from '@cairn/protocol/error'
import type { Context, Options, OptionSpec } from '../command.ts'
import { type Foreign, openForeign, readConfigOverlay } from '../repo/foreign.ts'

export const REVISION: OptionSpec = { flags: '--rev <commit>', summary: 'A branch, tag or commit of the other repository.' }

export const FOREIGN_REMOTE_OPTIONS: readonly OptionSpec[] = [
  { flags: '--config <file>', summary: "A config file that is laid over the other repository's." },
  { flags: '--remote <name>', summary: 'The remote of the other repository to read from.' },
  { flags: '--remote-config <pair>', summary: 'An option of that remote, as name=value.', repeatable: true },
]

/** Opens the other repository, with the options of the command line laid over its config. Closes it when `work` has settled. */
export async function withForeign<T>(
  url: string,
  where: { context: Context; options: Options; from: readonly string[]; workspace: boolean; rev?: string | undefined },
  work: (foreign: Foreign) => Promise<T>,
): Promise<T> {
  const { context, options, from, workspace } = where
  const rev = where.rev ?? (options['rev'] as string | undefined)
  const config = overlayOf(context, options)
  const foreign = await openForeign(url, { rev, from, env: context.env, signal: context.signal, workspace, config })
  try {
    return await work(foreign)
  } finally {
    await foreign.close()
  }
}

function overlayOf({ cwd }: Context, options: Options): { text: string; path: string } | undefined {
  const file = options['config'] as string | undefined
  const overlay = file === undefined ? undefined : readConfigOverlay(cwd, file)
  const pairs = pairsOf(options['remoteConfig'], '--remote-config')
  if (pairs.length === 0) return overlay
  const name = (options['remote'] as string | undefined) ?? 'given'
  const section = [`['remote "${name}"']`, ...pairs.map(([key, value]) => `${key} = ${value}`)]
  const chosen = options['remote'] === undefined ? ['[core]', `remote = ${name}`] : []
  return { text: [overlay?.text ?? '', ...section, ...chosen, ''].join('\n'), path: overlay?.path ?? `${cwd}/config` }
}

/** `name=value` words of an option. @throws CairnError USAGE */
export function pairsOf(given: unknown, flag: string): Array<[name: string, value: string]> {
  return ((given as string[] | undefined) ?? []).map((pair) => {
    const cut = pair.indexOf('=')
    if (cut < 1) throw new CairnError('USAGE', `argument ${flag}: '${pair}' is not name=value`)
    return [pair.slice(0, cut), pair.slice(cut + 1)]
  })
}
