import type { Config } from './config.ts'
import type { Git } from './git.ts'
import type { Ignore } from './ignore.ts'

export type LinkType = 'reflink' | 'hardlink' | 'symlink' | 'copy'

/** An opened repository. Paths are absolute; the ones inside of it are handled root-relative with `/` everywhere else. */
export interface Repo {
  /** The directory that holds `.dvc`. */
  root: string
  dvcDir: string
  /** `.dvc/tmp`: locks and what may be deleted at any time. Cairn's own files live in `.dvc/tmp/cairn`. */
  tmpDir: string
  cacheDir: string
  /** The configured `cache.type`; undefined when unset (then: reflink, else hardlink for outputs of stages and copy for added data). */
  linkTypes: readonly LinkType[] | undefined
  config: Config
  /** undefined with `core.no_scm` or outside of Git. */
  git: Git | undefined
  ignore: Ignore
}
