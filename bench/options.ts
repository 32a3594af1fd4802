import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { ROOT } from '../test/rig/project.ts'

export const HELP = `Times cairn beside stock dvc and restic on the same generated data, in turns, and prints Markdown.

npm run bench                                                 everything but the scale mode; about an hour
npm run bench -- --only small                                 10,000 small files, and 50,000 for what costs nothing new
npm run bench -- --only small --files 500 --rounds 1          a quick look
npm run bench -- --only small --steps local                   without any server
npm run bench -- --only big --mib 64 --rounds 1
npm run bench -- --only pipelines                             3 and 100 stages, and a project of 50 stages and 30 commits
npm run bench -- --latency 30 --files 10000                   first push and pull over a line of 30 ms each way
npm run bench -- --scale                                      a million digests, a tree of a million, 64 uploads
npm run bench -- --scale --parts uploads --uploads 8 --mib 64
npm run bench -- --from samples.jsonl                         prints the report of earlier runs again

  --only small|big|pipelines   one of them
  --steps local|transfer   of the small set: only what needs no server, or only what does
  --rounds N           3
  --files N[,N…]       10000,50000; from 50000 on only what costs nothing new
  --mib N              1024: size of the big file, and of each of the uploads at once
  --latency MS         the latency mode, with that many milliseconds each way
  --scale              the scale mode
  --parts LIST         of the scale mode: asking,tree,uploads (all), files (a million real ones: add and status; ten minutes)
  --rows N             10000000: objects in the database
  --entries N          1000000: digests asked for, entries of the tree, real files
  --uploads N          64 at once
  --upload-stop N      256: an upload declares --mib and is cut after so many MiB, which needs less disk; at --mib or more it is whole
  --subjects REGEX     only the subjects whose names match, e.g. 'cairn|dvc → S3'
  --dvc PATH           stock dvc; --restic PATH: restic; left out where they are not installed
  --json FILE          appends every raw sample as a line of JSON
  --from FILE          reports from such a file and measures nothing
  --help

PostgreSQL, S3 and dvc come from 'node scripts/real-parts.mjs': start it first, or the subjects that need them are left out.`

export interface BenchOptions {
  modes: ReadonlySet<Mode>
  steps: ReadonlySet<'local' | 'transfer'>
  rounds: number
  files: readonly number[]
  mib: number
  latencyMs: number
  parts: ReadonlySet<ScalePart>
  rows: number
  entries: number
  uploads: number
  uploadStop: number
  subjects: RegExp
  dvc: string
  restic: string | undefined
  json: string | undefined
  from: string | undefined
}

export type Mode = 'small' | 'big' | 'latency' | 'pipelines' | 'scale'
export type ScalePart = 'asking' | 'tree' | 'uploads' | 'files'

const SCALE_PARTS = ['asking', 'tree', 'uploads', 'files'] as const
const DEFAULT_LATENCY = 30

const OPTIONS = {
  only: { type: 'string' },
  steps: { type: 'string', default: 'local,transfer' },
  rounds: { type: 'string', default: '3' },
  files: { type: 'string', default: '10000,50000' },
  mib: { type: 'string', default: '1024' },
  latency: { type: 'string' },
  scale: { type: 'boolean', default: false },
  parts: { type: 'string', default: 'asking,tree,uploads' },
  rows: { type: 'string', default: '10000000' },
  entries: { type: 'string', default: '1000000' },
  uploads: { type: 'string', default: '64' },
  'upload-stop': { type: 'string', default: '256' },
  subjects: { type: 'string', default: '' },
  dvc: { type: 'string' },
  restic: { type: 'string' },
  json: { type: 'string' },
  from: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const

/** Undefined: help was asked for. @throws Error on what it does not understand */
export function readOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): BenchOptions | undefined {
  const { values } = parseArgs({ args: [...args], options: OPTIONS })
  if (values.help) return undefined
  return {
    modes: modesOf(values),
    steps: new Set(oneOf('steps', values.steps, ['local', 'transfer'] as const)),
    rounds: count('rounds', values.rounds),
    files: values.files.split(',').map((text) => count('files', text)),
    mib: count('mib', values.mib),
    latencyMs: values.latency === undefined ? DEFAULT_LATENCY : count('latency', values.latency),
    parts: new Set(oneOf('parts', values.parts, SCALE_PARTS)),
    rows: count('rows', values.rows),
    entries: count('entries', values.entries),
    uploads: count('uploads', values.uploads),
    uploadStop: count('upload-stop', values['upload-stop']),
    subjects: new RegExp(values.subjects, 'u'),
    dvc: values.dvc ?? env['CAIRN_TEST_DVC'] ?? path.join(ROOT, '.cache/dvc-venv/bin/dvc'),
    restic: values.restic ?? findOnPath('restic', env['PATH'] ?? ''),
    json: values.json,
    from: values.from,
  }
}

/** What is named runs alone; without a name everything runs that does not need an hour by itself. */
function modesOf({ only, latency, scale }: { only?: string; latency?: string; scale: boolean }): Set<Mode> {
  const modes = new Set<Mode>()
  if (only !== undefined) for (const mode of oneOf('only', only, ['small', 'big', 'pipelines'] as const)) modes.add(mode)
  if (latency !== undefined) modes.add('latency')
  if (scale) modes.add('scale')
  return modes.size > 0 ? modes : new Set(['small', 'big', 'latency', 'pipelines'])
}

function oneOf<T extends string>(name: string, text: string, known: readonly T[]): T[] {
  return text.split(',').map((word) => {
    const found = known.find((one) => one === word)
    if (found === undefined) throw new Error(`--${name} ${text}: '${word}' is none of ${known.join(', ')}`)
    return found
  })
}

function count(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} ${text}: not a whole number of 1 or more`)
  return value
}

function findOnPath(program: string, searched: string): string | undefined {
  return searched
    .split(path.delimiter)
    .map((folder) => path.join(folder, program))
    .find(isExecutable)
}

export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
