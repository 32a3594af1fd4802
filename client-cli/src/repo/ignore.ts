import { readFileSync } from 'node:fs'
import path from 'node:path'
import { isCode } from '@cairn/protocol/error'
import { createIgnoreRules, type Ignore } from './ignore-rules.ts'

/** What is never seen, before all files. */
export const BUILT_IN_IGNORED: readonly string[] = ['.hg/', '.git/', '.git', '.dvc/']

export type { Ignore } from './ignore-rules.ts'

/** The `.dvcignore` files below a root, each read when it is first needed. */
export function loadIgnore(root: string): Ignore {
  return ignoreFrom((file) => readIfThere(path.join(root, file)))
}

/** As `loadIgnore` over any source of texts; `read` gets root-relative paths. */
export function ignoreFrom(read: (file: string) => string | undefined): Ignore {
  return createIgnoreRules({ fileName: '.dvcignore', builtIn: BUILT_IN_IGNORED, read })
}

/** undefined when there is no such file. */
export function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return undefined
    throw error
  }
}
