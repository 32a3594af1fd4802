import type { Options, OptionSpec } from '../command.ts'
import type { RemoteConfig } from '../repo/config.ts'
import { pairsOf } from './foreign-options.ts'

export const FS_CONFIG: OptionSpec = {
  flags: '--fs-config <name=value...>',
  summary: "Options of the url's storage, as a remote would have them.",
}

/** @throws CairnError USAGE */
export function withFsConfig(target: RemoteConfig, options: Options): RemoteConfig {
  const given = Object.fromEntries(pairsOf(options['fsConfig'], '--fs-config'))
  return { ...target, options: { ...target.options, ...given } }
}
