export type Level = 'system' | 'global' | 'project' | 'local'

export interface RemoteConfig {
  name: string
  /** Resolved: a url, or an absolute path. */
  url: string
  /** The other options of the section, as text: `user`, `password`, `auth`, `jobs`, … */
  options: Readonly<Record<string, string>>
}

/** The four levels, merged: a later level's key wins. Names of sections and keys are lower-case. */
export interface Config {
  /** `get('core', 'remote')`. A list value (`cache.type`) is joined with commas. */
  get(section: string, key: string): string | undefined
  remotes(): RemoteConfig[]
  /** @throws CairnError CONFIG `remote 'x' doesn't exist` */
  remote(name: string): RemoteConfig
  /** @throws CairnError CONFIG when none is set (dvc's words and hint) */
  defaultRemote(): RemoteConfig
}
