import type { Rule } from './big-project-rules.ts'

/** What `repro --dry` says of each stage that has a command, by its address. */
export function foretold(stdout: string): Record<string, string> {
  const said = (pattern: RegExp, what: string) => [...stdout.matchAll(pattern)].map(([, name = '']) => [name, what] as const)
  return Object.fromEntries([
    ...said(/^Stage '(.+)' didn't change, skipping$/gm, 'is skipped'),
    // Stock says this before "Running stage", of stages that never ran on these params.
    ...said(/^Stage '(.+(?<!\.dvc))' is cached - skipping run/gm, 'is cached'),
    ...said(/^Running stage '(.+)':$/gm, 'runs'),
  ])
}

/** Stages of the project whose deps are outs of others that run. */
const FOLLOWING = /^(?:features\/dvc\.yaml:(?:select|pack)|models\/dvc\.yaml:(?:evaluate|compare|publish).*)$/

/** A dry run goes on where a run would: stock skips what depends on a stage that would run. */
export const dryRunsGoOn: Rule = (theirs) => {
  const said = Object.entries(theirs.stdout as Record<string, string>)
  const goOn = said.map(([name, what]) => [name, FOLLOWING.test(name) && what === 'is skipped' ? 'runs' : what] as const)
  if (goOn.every(([, what], at) => what === said[at]?.[1])) throw new Error('stock goes on: the rule is not needed')
  return { ...theirs, stdout: Object.fromEntries(goOn) }
}
