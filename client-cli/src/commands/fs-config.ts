import { CairnError } from '@cairn/protocol/error'
import type { Options, OptionSpec } from '../command.ts'
import type { RemoteConfig } from '../repo/config.ts'

export const FS_CONFIG: OptionSpec = {
  flags: '--fs-config <name=value...>',
  summary: "Options of the url's storage, as a remote would have them.",
}

/** @throws CairnError USAGE */
export function withFsConfig(target: RemoteConfig, options: Options): RemoteConfig {
  const given = Array.isArray(options['fsConfig']) ? options['fsConfig'].map(String) : []
  const pairs = given.map((pair): [string, string] => {
    const at = pair.indexOf('=')
    if (at < 1) throw new CairnError('USAGE', `argument --fs-config: '${pair}' is not <name>=<value>`)
    return [pair.slice(0, at), pair.slice(at + 1)]
  })
  return { ...target, options: { ...target.options, ...Object.fromEntries(pairs) } }
}
