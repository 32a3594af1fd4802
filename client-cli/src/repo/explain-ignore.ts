import createMatcher, { type Ignore as Matcher } from 'ignore'
import path from 'node:path'
import { fromTop } from './ignore-rules.ts'
import { BUILT_IN_IGNORED, readIfThere } from './ignore.ts'

/** The rule that decides about a path. */
export interface Verdict {
  /** The rule says `!`: the path is seen. */
  negated: boolean
  /** As written in its file. */
  pattern: string
  /** Root-relative, with the number of the line; undefined for what is built in. */
  place: { file: string; line: number } | undefined
}

interface Rule extends Verdict {
  matcher: Matcher
}

/**
 * Says which line of which `.dvcignore` below `root` decides about a root-relative path; undefined when none does. What lies
 * in an ignored folder is decided by the rule for the folder.
 */
export function openExplainer(root: string): (file: string, isDirectory: boolean) => Verdict | undefined {
  const known = new Map<string, readonly Rule[]>()
  const builtIn = BUILT_IN_IGNORED.map((pattern) => ruleOf(pattern, '', undefined))

  function rulesFor(folder: string): readonly Rule[] {
    const rules = known.get(folder) ?? [...(folder === '' ? builtIn : rulesFor(parentOf(folder))), ...readRules(root, folder)]
    known.set(folder, rules)
    return rules
  }

  return (file, isDirectory) => {
    for (let cut = file.indexOf('/'); cut > 0; cut = file.indexOf('/', cut + 1)) {
      const rule = lastMatch(rulesFor(parentOf(file.slice(0, cut))), file.slice(0, cut), true)
      if (rule && !rule.negated) return rule
    }
    return lastMatch(rulesFor(parentOf(file)), file, isDirectory)
  }
}

function readRules(root: string, folder: string): Rule[] {
  const file = path.posix.join(folder, '.dvcignore')
  const lines = (readIfThere(path.join(root, file)) ?? '').replace(/^\uFEFF/, '').split(/\r?\n/)
  return lines.flatMap((text, at) => {
    const pattern = text.trim()
    return pattern === '' || pattern.startsWith('#') ? [] : [ruleOf(pattern, folder, { file, line: at + 1 })]
  })
}

function ruleOf(pattern: string, folder: string, place: Verdict['place']): Rule {
  const negated = pattern.startsWith('!')
  const positive = fromTop(negated ? pattern.slice(1) : pattern, folder)
  return { negated, pattern, place, matcher: createMatcher({ ignorecase: false }).add([positive]) }
}

const lastMatch = (rules: readonly Rule[], file: string, isDirectory: boolean): Rule | undefined =>
  rules.findLast(({ matcher }) => matcher.ignores(isDirectory ? `${file}/` : file))

function parentOf(file: string): string {
  const slash = file.lastIndexOf('/')
  return slash < 0 ? '' : file.slice(0, slash)
}
