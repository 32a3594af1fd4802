import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path/posix'
import { parse } from 'yaml'
import type { Answer } from './big-project-answer.ts'

/** What stock's answer is where cairn does better; docs/compatibility.md says why. `project` is the untouched one. */
export type Rule = (theirs: Answer, project: string) => Answer

/** A file outside of the repository has the name at commits that it has in the workspace: relative to the root. */
export const outsideFilesKeepTheirNames: Rule = (theirs) => {
  const states = theirs.stdout as Array<{ data: { deps: Record<string, unknown> } }>
  const outside = Object.keys(states[0]?.data.deps ?? {}).filter((name) => name.startsWith('../'))
  for (const { data } of states)
    for (const name of outside) {
      const atCommits = name.replace(/^(\.\.\/)+/, '')
      if (!(atCommits in data.deps)) continue
      data.deps[name] = data.deps[atCommits]
      delete data.deps[atCommits]
    }
  return theirs
}

/** What `gc` keeps: objects of outputs that Git keeps, too (`cache: false`). The run cache gives them back. */
export const gitsOutputsKeepTheirObjects =
  (scope: 'workspace' | 'branches and tags'): Rule =>
  (theirs, project) => {
    const kept = gitsOutputs(project, scope)
    const lines = theirs.stdout as string[]
    const listed = lines.filter((line) => kept.has(objectIn(line)))
    const lost = [...kept].filter((object) => theirs.objects?.includes(object) === false)
    const spared = listed.length + lost.length
    if (spared === 0) throw new Error('stock deletes nothing of what Git keeps: the rule is not needed')
    const stdout = lines
      .filter((line) => !listed.includes(line))
      .map((line) =>
        line.replace(/^Removed (\d+) objects from repo cache\.$/, (_, count: string) => total(Number(count) - spared)),
      )
    return { ...theirs, stdout: stdout.toSorted(), objects: [...(theirs.objects ?? []), ...lost].toSorted() }
  }

const objectIn = (line: string): string => /\.dvc\/cache\/(\S+)/.exec(line)?.[1] ?? ''

const total = (count: number): string =>
  count === 0 ? "No unused 'repo' cache to remove." : `Removed ${count} objects from repo cache.`

/** Objects of the cache, below its folder, of the outputs that a dvc.lock in scope names and whose file is Git's. */
function gitsOutputs(project: string, scope: 'workspace' | 'branches and tags'): Set<string> {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: project, encoding: 'utf8' }).trim()
  const refs =
    scope === 'workspace' ? ['HEAD'] : git('for-each-ref', '--format=%(refname)', 'refs/heads', 'refs/tags').split('\n')
  const objects = new Set<string>()
  for (const ref of refs) {
    const files = git('-c', 'core.quotePath=false', 'ls-tree', '-r', '--name-only', ref).split('\n')
    for (const lock of files.filter((file) => path.basename(file) === 'dvc.lock')) {
      const { stages } = parse(git('show', `${ref}:${lock}`)) as Lock
      const outs = Object.values(stages).flatMap((stage) => stage.outs ?? [])
      for (const out of outs)
        if (files.includes(path.join(path.dirname(lock), out.path)))
          objects.add(`files/md5/${out.md5.slice(0, 2)}/${out.md5.slice(2)}`)
    }
  }
  return new Set([...objects].filter((object) => existsSync(path.join(project, '.dvc/cache', object))))
}

interface Lock {
  stages: Record<string, { outs?: Array<{ path: string; md5: string }> }>
}
