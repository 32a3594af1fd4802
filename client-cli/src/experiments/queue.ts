import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { writeFileAtomic } from '../io/atomic-write.ts'
import type { GitWriter } from '../repo/git-writer.ts'
import type { Repo } from '../repo/repo.ts'
import { pythonRepr } from '../pipeline/json-value.ts'
import { ARGUMENTS_FILE, readArguments, writeArguments, type ReproArguments } from './repro-arguments.ts'
import { experimentFiles } from './standing.ts'

/** An experiment that waits to be run: its tree is the workspace as it was queued, with its params set. */
export interface Queued {
  /** The commit on the stash. */
  rev: string
  baseline: string
  name: string
  /** Its file among the messages, absolute. */
  message: string
}

const STASH = 'refs/exps/celery/stash'

const folderOf = (repo: Repo): string => path.join(repo.tmpDir, 'exps/celery/broker')

/** Stashes the workspace with other texts at some paths, and files the message that a worker of dvc waits for as well. */
export async function enqueue(
  repo: Repo,
  writer: GitWriter,
  experiment: {
    name: string
    baseline: string
    texts: ReadonlyMap<string, string>
    args: ReproArguments
    message?: string | undefined
  },
): Promise<void> {
  const { name, baseline, texts, args } = experiment
  const runEnv = { DVC_EXP_BASELINE_REV: baseline, DVC_EXP_NAME: name, DVC_ROOT: repo.root }
  const overlay = new Map([...texts, [ARGUMENTS_FILE, writeArguments(args, runEnv)]])
  const tree = await writer.tree(await experimentFiles(repo), overlay)
  const index = await writer.commit(tree, [baseline], 'Index stash')
  const subject = `dvc-exp:${baseline}:${baseline}:${name}`
  const rev = await writer.commit(tree, [baseline, index], subject)
  await writer.setRef(STASH, rev, `commit: ${subject}`)
  writeMessage(repo, writer, { name, baseline, rev, message: experiment.message ?? null })
}

/** In the order in which they were queued. */
export async function queuedExperiments(repo: Repo, writer: GitWriter): Promise<Queued[]> {
  const stashed = new Set(await stashRevs(writer))
  const folder = path.join(folderOf(repo), 'in')
  return listFolder(folder)
    .filter((file) => file.endsWith('.celery.msg'))
    .toSorted((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
    .flatMap((file) => readMessage(path.join(folder, file)) ?? [])
    .filter(({ rev }) => stashed.has(rev))
}

/** How the experiment was called. @throws CairnError FAILED when that cannot be read */
export async function argumentsOf({ git }: GitWriter, queued: Queued, prefix: string): Promise<ReproArguments> {
  const bytes = await git.read(queued.rev, prefix + ARGUMENTS_FILE)
  const args = bytes === undefined ? { targets: [], flags: {} } : readArguments(bytes)
  if (args) return args
  throw new CairnError('FAILED', `cannot read how the queued experiment '${queued.name}' was called`, {
    hint: "Run it with 'dvc queue start', or remove it with 'cairn exp remove --queue'.",
  })
}

export async function dequeue(writer: GitWriter, queued: Queued): Promise<void> {
  const revs = await stashRevs(writer)
  const at = revs.indexOf(queued.rev)
  // Without its last entry it would be an empty log, which is no stash.
  if (at >= 0 && revs.length === 1) await writer.removeRef(STASH)
  else if (at >= 0) await writer.ask(['reflog', 'delete', '--rewrite', '--updateref', `${STASH}@{${at}}`])
  rmSync(queued.message, { force: true })
}

/** Newest first, as Git counts them. */
async function stashRevs(writer: GitWriter): Promise<string[]> {
  if ((await writer.refs(STASH)).length === 0) return []
  return writer.ask(['log', '--walk-reflogs', '--format=%H', STASH, '--'])
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (isCode(error, 'ENOENT')) return []
    throw error
  }
}

/** undefined for a message that is none of these, or that a worker took meanwhile. */
function readMessage(file: string): Queued | undefined {
  try {
    const { body } = JSON.parse(readFileSync(file, 'utf8')) as { body: string }
    const [[entry]] = JSON.parse(Buffer.from(body, 'base64').toString()) as [[Record<string, unknown>]]
    const { stash_rev: rev, baseline_rev: baseline, name } = entry
    if (typeof rev !== 'string' || typeof baseline !== 'string') return undefined
    return { rev, baseline, name: typeof name === 'string' ? name : rev.slice(0, 7), message: file }
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError || isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/** What dvc's queue puts into a folder for its workers: JSON in an envelope of JSON. */
function writeMessage(
  repo: Repo,
  { git }: GitWriter,
  { name, baseline, rev, message }: { name: string; baseline: string; rev: string; message: string | null },
): void {
  const folder = folderOf(repo)
  for (const each of ['in', 'control', 'processed']) mkdirSync(path.join(folder, each), { recursive: true })
  mkdirSync(path.join(folder, '../result'), { recursive: true })
  const exchange = path.join(folder, 'control/celery.exchange')
  if (!existsSync(exchange)) writeFileAtomic(exchange, '[["celery", "", "celery"]]')
  const entry = {
    dvc_root: repo.root,
    scm_root: git.root,
    stash_ref: STASH,
    stash_rev: rev,
    baseline_rev: baseline,
    branch: null,
    name,
    head_rev: baseline,
  }
  const options = { copy_paths: [], message }
  const id = randomUUID()
  const tag = randomUUID()
  const body = Buffer.from(JSON.stringify([[entry], options, { callbacks: null, errbacks: null, chain: null, chord: null }]))
  const envelope = {
    body: body.toString('base64'),
    'content-encoding': 'utf-8',
    'content-type': 'application/json',
    headers: {
      ...HEADERS,
      id,
      root_id: id,
      argsrepr: `(${pythonRepr(entry)},)`,
      kwargsrepr: pythonRepr(options),
      origin: `gen${process.pid}@${os.hostname()}`,
    },
    properties: {
      correlation_id: id,
      reply_to: randomUUID(),
      delivery_mode: 2,
      delivery_info: { exchange: '', routing_key: 'celery' },
      priority: 0,
      body_encoding: 'base64',
      delivery_tag: tag,
    },
  }
  // The number orders the messages: milliseconds since the start of the system, and never twice the same.
  const number = Math.max(Math.floor(os.uptime() * 1000), lastNumber + 1)
  lastNumber = number
  writeFileAtomic(path.join(folder, 'in', `${number}_${tag}.celery.msg`), JSON.stringify(envelope))
}

let lastNumber = 0

const HEADERS = {
  lang: 'py',
  task: 'dvc.repo.experiments.queue.tasks.run_exp',
  shadow: null,
  eta: null,
  expires: null,
  group: null,
  group_index: null,
  retries: 0,
  timelimit: [null, null],
  parent_id: null,
  ignore_result: false,
  replaced_task_nesting: 0,
  stamped_headers: null,
  stamps: {},
}
