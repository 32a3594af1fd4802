import createMatcher, { type Ignore as Matcher } from 'ignore'

/** `.dvcignore`: which paths DVC does not see. */
export interface Ignore {
  /** Root-relative path with `/`. A path below an ignored folder is ignored. Built in: `.git`, `.hg`, `.dvc`. */
  ignores(path: string, isDirectory: boolean): boolean
  /** The same question for the names in one folder, which may be many. */
  within(folder: string): (name: string, isDirectory: boolean) => boolean
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
  /** Made when first asked for. */
  readonly matcher: Matcher
  /** When every rule names one thing literally, as nearly all do: looking a name up costs a hundredth of matching it. */
  literal: Literals | undefined
}

interface Literals {
  names: ReadonlySet<string>
  paths: ReadonlySet<string>
}

/** Rules of gitignore's syntax out of files in any folder, merged from the top down; the last match wins. */
export function createIgnoreRules(source: IgnoreSource): Ignore {
  const folders = new Map<string, Folder>()
  const top = folderWith(source.builtIn)

  function folderAt(folder: string): Folder {
    const known = folders.get(folder)
    if (known) return known
    const parent = folder === '' ? top : folderAt(parentOf(folder))
    const ignored = parent.ignored || (folder !== '' && matches(parent, folder, true))
    const made = ignored ? IGNORED : withOwnRules(parent, folder)
    folders.set(folder, made)
    return made
  }

  function withOwnRules(parent: Folder, folder: string): Folder {
    const text = source.read(folder === '' ? source.fileName : `${folder}/${source.fileName}`)
    const own = text === undefined ? [] : rulesOf(text, folder)
    if (own.length === 0) return parent
    return folderWith([...parent.rules, ...own])
  }

  return {
    ignores(path, isDirectory) {
      if (path === '' || path === '.' || path.startsWith('../') || path.startsWith('/')) return false
      const folder = folderAt(parentOf(path))
      return folder.ignored || matches(folder, path, isDirectory)
    },
    within(folder) {
      if (folder.startsWith('../') || folder === '..' || folder.startsWith('/')) return () => false
      const at = folderAt(folder)
      if (at.ignored) return () => true
      const prefix = folder === '' ? '' : `${folder}/`
      return (name, isDirectory) => matches(at, prefix + name, isDirectory, name)
    },
  }
}

const IGNORED: Folder = Object.assign(folderWith([]), { ignored: true })

function folderWith(rules: readonly string[]): Folder {
  let matcher: Matcher | undefined
  return {
    ignored: false,
    rules,
    literal: literalsOf(rules),
    get matcher() {
      return (matcher ??= createMatcher({ ignorecase: false }).add([...rules]))
    },
  }
}

function matches(folder: Folder, path: string, isDirectory: boolean, name = nameOf(path)): boolean {
  const { literal } = folder
  if (!literal) return folder.matcher.ignores(isDirectory ? `${path}/` : path)
  if (literal.names.has(name) || (literal.paths.size > 0 && literal.paths.has(path))) return true
  return isDirectory && (literal.names.has(`${name}/`) || (literal.paths.size > 0 && literal.paths.has(`${path}/`)))
}

/** undefined when there is a pattern or an exception among the rules. Names of folders keep their `/`. */
function literalsOf(rules: readonly string[]): Literals | undefined {
  const names = new Set<string>()
  const paths = new Set<string>()
  for (const rule of rules) {
    if (rule === '' || rule.startsWith('#')) continue
    if (!/^[\w.@+,=/-]+$/.test(rule) || rule.includes('//')) return undefined
    if (rule.slice(0, -1).includes('/')) paths.add(rule.replace(/^\//, ''))
    else names.add(rule)
  }
  return { names, paths }
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash < 0 ? '' : path.slice(0, slash)
}

/** The rules of one file, as they would read in a file at the top. */
function rulesOf(text: string, folder: string): string[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const rules = lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
  return folder === '' ? rules : rules.map((rule) => fromTop(rule, folder))
}

/** A rule of a file in `folder`, as it would read in a file at the top. */
export function fromTop(rule: string, folder: string): string {
  if (folder === '') return rule
  const escaped = folder.replace(/[\\*?[\]!# ]/g, '\\$&')
  const not = rule.startsWith('!') ? '!' : ''
  const pattern = rule.slice(not.length)
  const slash = pattern.indexOf('/')
  const anchored = slash >= 0 && slash < pattern.length - 1
  return anchored
    ? `${not}/${escaped}/${pattern.replace(/^\//, '')}`
    : `${not}/${escaped}/**/${pattern.replace(/^\\(?=[!#])/, '')}`
}
