import { lstatSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { isCode } from '@cairn/protocol/error'

/**
 * The paths that a shell's pattern stands for, sorted: `*`, `?`, `[a-z]`, `[!a]` inside of a name, `**` for any folders. Names
 * that begin with a dot only match a pattern that does. Relative to `cwd`, as the pattern is; links to folders are not followed by `**`.
 */
export function expandGlob(cwd: string, pattern: string): string[] {
  const absolute = path.isAbsolute(pattern)
  const steps = pattern.split('/').filter((step, at) => step !== '' || (at === 0 && absolute))
  const found = new Set<string>()
  visit(absolute ? '/' : '', absolute ? steps.slice(1) : steps)
  return [...found].toSorted()

  function visit(folder: string, [step, ...rest]: readonly string[]): void {
    if (step === undefined) {
      if (folder !== '' && isThere(path.resolve(cwd, folder))) found.add(folder)
    } else if (step === '**') {
      visit(folder, rest)
      for (const { name, isFolder } of entriesOf(path.resolve(cwd, folder))) {
        if (name.startsWith('.')) continue
        if (isFolder) visit(join(folder, name), ['**', ...rest])
        else if (rest.length === 0) found.add(join(folder, name))
      }
    } else if (/[*?[]/.test(step)) {
      const matches = namePattern(step)
      for (const { name } of entriesOf(path.resolve(cwd, folder))) if (matches(name)) visit(join(folder, name), rest)
    } else visit(join(folder, step), rest)
  }
}

/** Tells whether a name matches a pattern without `/`. */
export function namePattern(pattern: string): (name: string) => boolean {
  const source = pattern.replace(
    /\[(!?)(\]?[^\]]+|\])\]|[*?]|[\\^$+.()|{}[\]]/g,
    (part, not: string | undefined, set: string | undefined) => {
      if (part === '*') return '[^/]*'
      if (part === '?') return '[^/]'
      if (set === undefined) return `\\${part}`
      return `[${not ? '^' : ''}${set.replace(/[\\\]^[]/g, '\\$&')}]`
    },
  )
  const expression = new RegExp(`^(?:${source})$`, 'su')
  return (name) => (pattern.startsWith('.') || !name.startsWith('.')) && expression.test(name)
}

const join = (folder: string, name: string): string => (folder === '' ? name : path.posix.join(folder, name))

const isThere = (file: string): boolean => lstatSync(file, { throwIfNoEntry: false }) !== undefined

function entriesOf(folder: string): Array<{ name: string; isFolder: boolean }> {
  try {
    return readdirSync(folder, { withFileTypes: true }).map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }))
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}
