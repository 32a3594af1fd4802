import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import { isLegacy } from '@cairn/protocol/digest'
import type { ObjectCache } from '../cache/object-cache.ts'
import { metricFilesOf } from '../pipeline/metrics.ts'
import { shownValues } from '../pipeline/metrics-table.ts'
import { paramValuesOf } from '../pipeline/params-values.ts'
import { type Content, type Failure, type Naming, readContent } from '../pipeline/read-content.ts'
import { openContent, type RevisionContent } from '../pipeline/revision-content.ts'
import type { Dep, Recorded } from '../pipeline/stage.ts'
import { revisionTree, workingTree } from '../repo/file-tree.ts'
import type { GitWriter } from '../repo/git-writer.ts'
import type { Repo } from '../repo/repo.ts'
import { queuedExperiments } from './queue.ts'
import { experimentRefs, type ExperimentRef } from './refs.ts'

/** What one revision holds, in the shape and order of dvc's JSON. */
export interface RevisionValues {
  rev: string
  /** Local time without a zone; null for the workspace. */
  timestamp: string | null
  params: ReadonlyMap<string, Content>
  metrics: ReadonlyMap<string, Content>
  deps: ReadonlyMap<string, RecordedValues>
  outs: ReadonlyMap<string, RecordedValues & { use_cache: boolean; is_data_source: boolean }>
  meta: Record<string, never>
}

export interface RecordedValues {
  hash: string | null
  size: number | null
  nfiles: number | null
}

/** One row: a commit, or why it cannot be read. */
export interface RevisionState {
  rev: string
  name: string | null
  data: RevisionValues | null
  error: Failure | null
  /** A baseline's experiments; null when it has none. */
  experiments: ExperimentRange[] | null
}

export interface ExperimentRange {
  revs: RevisionState[]
  executor: { state: 'queued'; name: 'dvc-task'; local: Record<string, string | null> } | null
  name: string | null
}

export interface CollectSession {
  repo: Repo
  cache: ObjectCache
  writer: GitWriter
}

/** What the table and the JSON of experiments are made of. `baselines` are commits, in their order. */
export async function collectExperiments(
  session: CollectSession,
  baselines: readonly string[],
  options: { paramDeps: boolean; hideQueued: boolean; hideWorkspace: boolean; sha: boolean },
): Promise<RevisionState[]> {
  const { repo, writer } = session
  const names = options.sha ? new Map<string, string>() : await describeCommits(writer)
  const refs = await experimentRefs(writer)
  const queued = options.hideQueued ? [] : await queuedExperiments(repo, writer)
  const states = options.hideWorkspace ? [] : [await stateOf(session, 'workspace', null, options)]
  for (const baseline of baselines) {
    const done: ExperimentRange[] = []
    for (const one of refs) if (one.baseline === baseline) done.push(await rangeOf(session, one, options))
    const waiting: ExperimentRange[] = []
    for (const one of queued) {
      if (one.baseline !== baseline) continue
      const range = await rangeOf(session, one, options)
      for (const { data } of range.revs) if (data) data.metrics = new Map()
      const local = { root: null, log: null, pid: null, returncode: null, task_id: one.rev }
      waiting.push({ ...range, executor: { state: 'queued', name: 'dvc-task', local } })
    }
    const experiments = [...newestFirst(done), ...newestFirst(waiting)]
    const state = await stateOf(session, baseline, names.get(baseline) ?? null, { paramDeps: false })
    states.push({ ...state, experiments: experiments.length > 0 ? experiments : null })
  }
  return states
}

async function rangeOf(
  session: CollectSession,
  { rev, name }: Pick<ExperimentRef, 'rev' | 'name'>,
  options: { paramDeps: boolean },
): Promise<ExperimentRange> {
  return { revs: [await stateOf(session, rev, name, options)], executor: null, name }
}

const newestFirst = (ranges: readonly ExperimentRange[]): ExperimentRange[] => {
  const keyOf = ({ revs: [first] }: ExperimentRange) => `${first?.data?.timestamp ?? ''} ${first?.rev ?? ''}`
  return ranges.toSorted((a, b) => (keyOf(a) < keyOf(b) ? 1 : -1))
}

/** Paths in messages are told from the root, as dvc does here. */
const fromRoot: Naming = (file) => file

/** A commit, or `workspace`. A commit whose stage files are broken is told as such, and hides no other. */
export async function stateOf(
  { repo, cache, writer }: CollectSession,
  rev: string,
  name: string | null,
  { paramDeps }: { paramDeps: boolean },
): Promise<RevisionState> {
  try {
    const content = await openContent(repo, rev === 'workspace' ? workingTree(repo) : revisionTree(repo, rev), cache)
    const timestamp = rev === 'workspace' ? null : await timeOf(writer, rev)
    const params = await paramValuesOf(content, { targets: [], depsOnly: paramDeps, name: fromRoot })
    const data = { rev, timestamp, params, metrics: await metricsOf(content), ...recordsOf(content, repo.root), meta: {} }
    return { rev, name, data, error: null, experiments: null }
  } catch (error) {
    if (!(error instanceof CairnError) || error.code !== 'STAGE_FILE_INVALID') throw error
    return { rev, name, data: null, error: { msg: error.message, type: 'YAMLValidationError' }, experiments: null }
  }
}

async function metricsOf(content: RevisionContent): Promise<Map<string, Content>> {
  const metrics = new Map<string, Content>()
  for (const file of await metricFilesOf(content)) {
    const read = await readContent(content, file.path, fromRoot)
    metrics.set(file.path, 'error' in read ? read : { data: shownValues(read.data) })
  }
  return metrics
}

function recordsOf({ pipelines }: RevisionContent, root: string): Pick<RevisionValues, 'deps' | 'outs'> {
  const deps = new Map<string, RecordedValues>()
  const outs = new Map<string, RecordedValues & { use_cache: boolean; is_data_source: boolean }>()
  for (const stage of pipelines.stages) {
    for (const dep of stage.deps) if (!dep.source?.repo) deps.set(nameOf(dep, root), depValues(dep))
    for (const out of stage.outs) {
      if (out.metric || out.plot) continue
      outs.set(out.path, {
        ...valuesOf(out.recorded),
        use_cache: out.cache,
        is_data_source: stage.kind !== 'pipeline' && stage.cmd === undefined,
      })
    }
  }
  return { deps, outs }
}

/** A file outside of the repository is named from its root, the same in all revisions. */
const nameOf = ({ path: at }: Dep, root: string): string => (path.isAbsolute(at) ? path.relative(root, at) : at)

function depValues({ recorded, source }: Dep): RecordedValues {
  const values = valuesOf(recorded)
  return { ...values, hash: values.hash ?? source?.checksum ?? source?.etag ?? null }
}

function valuesOf(recorded: Recorded | undefined): RecordedValues {
  if (!recorded) return { hash: null, size: null, nfiles: null }
  const { digest, size = null, nfiles = null } = recorded
  return { hash: isLegacy(digest) ? digest.slice('legacy-'.length) : digest, size, nfiles }
}

async function timeOf(writer: GitWriter, rev: string): Promise<string> {
  const [seconds = '0'] = await writer.ask(['show', '--no-patch', '--format=%ct', rev])
  return localTime(new Date(Number(seconds) * 1000))
}

/** `2026-11-25T08:34:11` */
export function localTime(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0')
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-')
  return `${day}T${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`
}

/** Commit to its name: the current branch, else a tag, else a branch. */
export async function describeCommits(writer: GitWriter): Promise<Map<string, string>> {
  const names = new Map<string, string>()
  const add = (refs: ReadonlyArray<readonly [string, string]>) => {
    for (const [sha, name] of refs) if (!names.has(sha)) names.set(sha, name)
  }
  const [head, branch] = [writer.git.head(), writer.git.branch()]
  if (head !== undefined && branch !== undefined) names.set(head, branch)
  for (const under of ['refs/tags', 'refs/heads']) {
    const lines = await writer.ask(['for-each-ref', '--format=%(objectname) %(*objectname) %(refname:lstrip=2)', under])
    add(
      lines.map((line): readonly [string, string] => {
        const [sha = '', peeled = '', ...name] = line.split(' ')
        return [peeled || sha, name.join(' ')]
      }),
    )
  }
  return names
}
