import { CairnError } from '@cairn/protocol/error'
import type { Report } from '../report/event.ts'
import { addressFrom } from './find-targets.ts'
import { commandLines } from './run-stage.ts'
import { relativeTo } from './stage-path.ts'
import type { Stage } from './stage.ts'
import type { Change } from './staleness.ts'

/**
 * What is told about a stage while it is reproduced: in the words of dvc 3, and for the stages of 2019 files in those of
 * that time, which their readers know. `cwd` is root-relative.
 */
export interface StageWords {
  fresh(stage: Stage): void
  reasons(stage: Stage, changes: readonly Change[]): void
  running(stage: Stage): void
  cached(stage: Stage): void
  committing(stage: Stage): void
  frozen(stage: Stage): void
  pulling(stage: Stage): void
  notPulled(stage: Stage): void
  /** `lockFile`: the dvc.lock that changed, if one did. */
  written(stage: Stage, options: { lockFile: string | undefined; isNew: boolean }): void
  /** The error that ends the command when this stage fails. */
  failure(stage: Stage, cause: CairnError): CairnError
}

export function stageWords(report: Report, cwd: string): StageWords {
  const result = (text: string) => report({ type: 'result', text })
  const name = (stage: Stage) => addressFrom(stage, cwd)
  return {
    fresh(stage) {
      if (stage.kind === 'legacy') result(`Stage '${name(stage)}' didn't change.`)
      else result(`${label(stage, name(stage))} didn't change, skipping`)
    },
    reasons(stage, changes) {
      const isFirst = stage.kind === 'pipeline' && stage.lockedCmd === undefined && changes.length > 0
      const lines = isFirst
        ? [`'${name(stage)}' was never run.`]
        : [...new Set(changes.map((change) => reason(change, name(stage), cwd)))]
      if (stage.kind !== 'legacy') return lines.forEach((text) => report({ type: 'note', text }))
      for (const line of lines) result(line)
      if (lines.length > 0) result(`Stage '${name(stage)}' changed.`)
    },
    running(stage) {
      const lines = commandLines(stage)
      if (stage.kind === 'legacy')
        result([`Reproducing '${name(stage)}'`, 'Running command:', ...lines.map((line) => `\t${line}`)].join('\n'))
      else result([`Running stage '${name(stage)}':`, ...lines.map((line) => `> ${line}`)].join('\n'))
    },
    cached: (stage) => result(`Stage '${name(stage)}' is cached - skipping run, checking out outputs`),
    frozen(stage) {
      const text = `stage: '${name(stage)}' is frozen. Its dependencies are not going to be reproduced.`
      report({ type: 'warning', text })
    },
    pulling: (stage) => result(`Pulling data for stage: '${name(stage)}'`),
    notPulled: (stage) => result(`Unable to pull data for stage: '${name(stage)}'`),
    committing(stage) {
      const what = stage.cmd === undefined ? 'data sources in stage' : 'outputs in frozen stage'
      result(`Verifying ${what}: '${name(stage)}'`)
    },
    written(stage, { lockFile, isNew }) {
      if (stage.kind === 'legacy') result(`Saving information to '${name(stage)}'.`)
      if (lockFile === undefined) return
      if (isNew) result(`Generating lock file '${relativeTo(cwd, lockFile)}'`)
      result(`Updating lock file '${relativeTo(cwd, lockFile)}'`)
    },
    failure(stage, cause) {
      const hint = cause.hint === undefined ? {} : { hint: cause.hint }
      return new CairnError(cause.code, `failed to reproduce '${name(stage)}': ${cause.message}`, { cause, exit: 255, ...hint })
    },
  }
}

const label = (stage: Stage, name: string): string => (stage.kind === 'pipeline' ? `Stage '${name}'` : `'${name}'`)

function reason(change: Change, name: string, cwd: string): string {
  const state = (text: string) =>
    text === 'deleted' ? 'is missing' : text === 'not in cache' ? 'is not in the cache' : 'changed'
  switch (change.kind) {
    case 'dep':
      return `Dependency '${relativeTo(cwd, change.path)}' of '${name}' ${state(change.state)}.`
    case 'out':
      return `Output '${relativeTo(cwd, change.path)}' of '${name}' ${state(change.state)}.`
    case 'param':
      return `Parameter '${change.key}' of '${relativeTo(cwd, change.path)}' changed for '${name}'.`
    case 'command':
      return `The command of '${name}' changed.`
    case 'checksum':
      return `The definition of '${name}' changed.`
    case 'always':
      return `'${name}' is always considered changed.`
  }
}

/** The words for a stage that is run for itself and not as a part of a reproduction. */
export function runWords(report: Report, cwd: string): StageWords {
  return {
    ...stageWords(report, cwd),
    reasons: () => undefined,
    running: (stage) =>
      report({ type: 'result', text: ['Running command:', ...commandLines(stage).map((line) => `\t${line}`)].join('\n') }),
    failure: (_stage, cause) => cause,
  }
}
