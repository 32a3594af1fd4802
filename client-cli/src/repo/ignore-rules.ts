import createMatcher, { type Ignore as Matcher } from 'ignore'

/** `.dvcignore`: which paths DVC does not see. */
export interface Ignore {
  /** Root-relative path with `/`. A path below an ignored folder is ignored. Built in: `.git`, `.hg`, `.dvc`. */
  ignores(path: string, isDirectory: boolean): boolean
}

export interface IgnoreSource {
  /** `.dvcignore`, `.gitignore`: may stand in any folder. */
  fileName: string
  /** Rules before all files. */
  builtIn: readonly string[]
  /** Path relative to the top, with `/`. undefined when there is no such file. */
  read(file: string): string | undefined
}

interface Folder {
  ignored: boolean
  /** All rules that hold inside, in order, rewritten relative to the top. */
  rules: readonly string[]
  matcher: Matcher
}

/** Rules of gitignore's syntax out of files in any folder, merged from the top down; the last match wins. */
export function createIgnoreRules(source: IgnoreSource): Ignore {
  const folders = new Map<string, Folder>()
  const top: Folder = { ignored: false, rules: source.builtIn, matcher: matcherOf(source.builtIn) }

  function folderAt(folder: string): Folder {
    const known = folders.get(folder)
    if (known) return known
    const parent = folder === '' ? top : folderAt(parentOf(folder))
    const ignored = parent.ignored || (folder !== '' && parent.matcher.ignores(`${folder}/`))
    const made = ignored ? { ...parent, ignored } : withOwnRules(parent, folder)
    folders.set(folder, made)
    return made
  }

  function withOwnRules(parent: Folder, folder: string): Folder {
    const text = source.read(folder === '' ? source.fileName : `${folder}/${source.fileName}`)
    const own = text === undefined ? [] : rulesOf(text, folder)
    if (own.length === 0) return parent
    const rules = [...parent.rules, ...own]
    return { ignored: false, rules, matcher: matcherOf(rules) }
  }

  return {
    ignores(path, isDirectory) {
      if (path === '' || path === '.' || path.startsWith('../') || path.startsWith('/')) return false
      const folder = folderAt(parentOf(path))
      return folder.ignored || folder.matcher.ignores(isDirectory ? `${path}/` : path)
    },
  }
}

function matcherOf(rules: readonly string[]): Matcher {
  return createMatcher({ ignorecase: false }).add([...rules])
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : path.slice(0, slash)
}

/** The rules of one file, as they would read in a file at the top. */
function rulesOf(text: string, folder: string): string[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const rules = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
  if (folder === '') return rules
  const escaped = folder.replace(/[\\*?[\]!# ]/g, '\\$&')
  return rules.map((rule) => {
    const not = rule.startsWith('!') ? '!' : ''
    const pattern = rule.slice(not.length)
    const slash = pattern.indexOf('/')
    const anchored = slash >= 0 && slash < pattern.length - 1
    return anchored
      ? `${not}/${escaped}/${pattern.replace(/^\//, '')}`
      : `${not}/${escaped}/**/${pattern.replace(/^\\(?=[!#])/, '')}`
  })
}
