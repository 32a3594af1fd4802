import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { BIG_PROJECT_FILES, REGIONS } from './big-project-files.ts'
import { seeded } from './images.ts'
import { createWorkstation, ROOT, run, type Workstation } from './project.ts'

/** A project as teams have them: 50 stages in three dvc.yaml files, 20 .dvc files, 30 commits, 5 branches, 10 tags. */
export interface BigProject {
  /** Oldest first. */
  tags: string[]
  branches: string[]
}

const KEPT = path.join(ROOT, '.cache/big-project')
/** Where `import-url` took its file from: outside of the project, and at the same path for every copy of it. */
const ORIGIN = path.join(KEPT, 'origin')
const COMMITS = 26
const TOPICS = ['topic/longer', 'topic/titles', 'topic/no-frozen', 'topic/windows']
const COPY = { recursive: true, preserveTimestamps: true, verbatimSymlinks: true }
const START = Date.UTC(2025, 0, 6, 9)

/**
 * The project in a folder, made by stock dvc at `dvc`: its own bytes. Kept for the next call, since stock needs a minute for 150 runs of
 * stages; made anew when the generator changes.
 */
export async function placeBigProject(dir: string, dvc: string): Promise<BigProject> {
  const sources = ['big-project.ts', 'big-project-files.ts'].map((name) => readFileSync(path.join(ROOT, 'test/rig', name)))
  const kept = path.join(KEPT, createHash('sha256').update(Buffer.concat(sources)).digest('hex').slice(0, 16))
  if (!existsSync(kept)) {
    const station = createWorkstation()
    writeFileSync(path.join(station.home, 'names.json'), JSON.stringify(await writeBigProject(station, dvc)))
    cpSync(station.home, `${kept}.${process.pid}`, COPY)
    renameSync(`${kept}.${process.pid}`, kept)
    station.remove()
  }
  cpSync(path.join(kept, 'project'), dir, COPY)
  return JSON.parse(readFileSync(path.join(kept, 'names.json'), 'utf8')) as BigProject
}

/** Makes the project in the station's folder with `client`, dvc or cairn; the work tree is `main`, clean. The same at each call. */
export async function writeBigProject(station: Workstation, client: string): Promise<BigProject> {
  write(ORIGIN, 'licence.txt', 'Do as you like.\n')
  station.git('init', '-q', '-b', 'main')
  await must(station, client, 'init', '-q')
  for (const [file, text] of Object.entries(BIG_PROJECT_FILES)) write(station.dir, file, text)
  await track(station, client)
  await runOnce(station, client)
  const tags: string[] = []
  for (let index = 0; index < COMMITS; index++) {
    const touched = index === 0 ? [] : change(station.dir, index)
    if (touched.length > 0) await must(station, client, 'add', '-q', ...touched)
    const isTagged = index % 3 === 0 || index === COMMITS - 1
    if (isTagged) await must(station, client, 'repro', '-q', '-P')
    commit(station, `change ${index}`, index)
    if (isTagged) tags.push(tag(station, `v${tags.length + 1}.0`, index))
  }
  branchOff(station, tags)
  return { tags, branches: ['main', ...TOPICS] }
}

/** A stage that is frozen before it ever ran can never run. */
async function runOnce(station: Workstation, client: string): Promise<void> {
  write(station.dir, 'dvc.yaml', BIG_PROJECT_FILES['dvc.yaml'].replace('    frozen: true\n', ''))
  await must(station, client, 'repro', '-q', 'schema')
  write(station.dir, 'dvc.yaml', BIG_PROJECT_FILES['dvc.yaml'])
}

/** The .dvc files: regions, single files, folders, one that DVC 2 wrote, one that came by import-url. */
async function track(station: Workstation, client: string): Promise<void> {
  const { dir } = station
  const random = seeded(20)
  const row = (_: unknown, at: number) => `${at},${Math.floor(random() * 1000) / 10},k${at % 4}\n`
  const rows = (count: number) => Array.from({ length: count }, row).join('')
  for (const region of REGIONS) write(dir, `raw/${region}.csv`, rows(20))
  for (const name of ['alpha', 'beta', 'gamma', 'delta', 'ünïcode', 'a space', 'crlf'])
    write(dir, `assets/${name}.txt`, `${name}\r\n`)
  write(dir, 'assets/tool.sh', '#!/bin/sh\necho tool\n')
  chmodSync(path.join(dir, 'assets/tool.sh'), 0o755)
  for (const [folder, count] of [
    ['images', 12],
    ['archive/2023', 5],
    ['archive/2024', 7],
    ['docs/figures', 3],
  ] as const)
    for (let at = 0; at < count; at++) write(dir, `${folder}/s${at % 2}/f${at}.txt`, rows(3))
  write(dir, 'images/skipped.tmp', 'not of the folder\n')
  const assets = ['alpha', 'beta', 'gamma', 'delta', 'ünïcode', 'a space', 'crlf'].map((name) => `assets/${name}.txt`)
  const folders = ['images', 'archive/2023', 'archive/2024', 'docs/figures']
  const raw = REGIONS.map((region) => `raw/${region}.csv`)
  await must(station, client, 'add', '-q', ...raw, ...assets, 'assets/tool.sh', ...folders)
  await must(station, client, 'import-url', '-q', path.join(ORIGIN, 'licence.txt'), 'assets/licence.txt')
  writeLegacy(dir)
}

/** As DVC 2 tracked it: the md5 of the text with plain line ends, and the object outside of files/md5. */
function writeLegacy(dir: string): void {
  const text = 'kept since 2021\r\nas it was\r\n'
  const md5 = createHash('md5').update(text.replaceAll('\r\n', '\n')).digest('hex')
  write(dir, 'legacy/notes.txt', text)
  write(dir, 'legacy/notes.txt.dvc', `outs:\n- md5: ${md5}\n  size: ${text.length}\n  path: notes.txt\n`)
  write(dir, 'legacy/.gitignore', '/notes.txt\n')
  const object = `.dvc/cache/${md5.slice(0, 2)}/${md5.slice(2)}`
  write(dir, object, text)
  chmodSync(path.join(dir, object), 0o444)
}

/** What one commit changes; returns the tracked paths that are to be added. Few changes reach many stages: stock takes its time for each. */
function change(dir: string, index: number): string[] {
  const edit = (file: keyof typeof BIG_PROJECT_FILES, from: string, to: string): string[] => {
    write(dir, file, BIG_PROJECT_FILES[file].replace(from, to))
    return []
  }
  if (index === 3) return edit('config/train.toml', 'lr = 0.1', 'lr = 0.15')
  if (index === 9) return edit('config/settings.py', 'momentum = 0.9', 'momentum = 0.85')
  if (index === 12) {
    write(dir, 'raw/south.csv', '0,12.5,k0\n1,2,k2\n2,24,k3\n')
    return ['raw/south.csv']
  }
  switch (index % 4) {
    case 0:
      write(dir, `images/new/f${index}.txt`, `image of commit ${index}\n`)
      return ['images']
    case 1:
      return edit('params.yaml', 'title: first', `title: report ${index}`)
    case 2:
      write(dir, 'assets/alpha.txt', `alpha ${index}\n`)
      return ['assets/alpha.txt']
    default:
      return edit('extra/counts.yaml', 'images: 12', `images: ${index}`)
  }
}

/** One commit each beside main; only Git's files change, so that what DVC placed stays as main has it. */
function branchOff(station: Workstation, tags: readonly string[]): void {
  const edits: Array<[file: keyof typeof BIG_PROJECT_FILES, from: string, to: string]> = [
    ['config/train.toml', 'depth = 2', 'depth = 5'],
    ['params.yaml', 'title: first', 'title: of the topic'],
    ['dvc.yaml', '    frozen: true\n', ''],
    ['config/features.json', '"threshold": 0.5', '"threshold": 0.75'],
  ]
  for (const [at, [file, from, to]] of edits.entries()) {
    station.git('checkout', '-q', '-b', TOPICS[at] ?? '', tags[2 * at + 1] ?? '')
    write(station.dir, file, BIG_PROJECT_FILES[file].replace(from, to))
    commit(station, `try ${file}`, COMMITS + at)
  }
  station.git('checkout', '-q', 'main')
}

function commit(station: Workstation, message: string, index: number): void {
  const date = new Date(START + index * 3_600_000).toISOString()
  station.git('add', '-A')
  dated(station, date, 'commit', '-qm', message)
}

function tag(station: Workstation, name: string, index: number): string {
  dated(station, new Date(START + index * 3_600_000).toISOString(), 'tag', name)
  return name
}

/** Git with a fixed clock: the same commits at each call. */
function dated(station: Workstation, date: string, ...args: string[]): void {
  const who = {
    GIT_AUTHOR_NAME: 'Ada',
    GIT_AUTHOR_EMAIL: 'ada@example.org',
    GIT_COMMITTER_NAME: 'Ada',
    GIT_COMMITTER_EMAIL: 'ada@example.org',
  }
  const env = {
    ...process.env,
    ...station.env,
    ...who,
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_DATE: date,
    GIT_CONFIG_GLOBAL: '/dev/null',
  }
  execFileSync('git', args, { cwd: station.dir, env, stdio: 'pipe' })
}

function write(dir: string, file: string, text: string): void {
  mkdirSync(path.dirname(path.join(dir, file)), { recursive: true })
  writeFileSync(path.join(dir, file), text)
}

async function must(station: Workstation, client: string, ...args: string[]): Promise<void> {
  const done = await run(client, args, { cwd: station.dir, env: station.env })
  if (done.code !== 0) throw new Error(`${args.join(' ')} exited with ${done.code}\n${done.stdout}\n${done.stderr}`)
}
