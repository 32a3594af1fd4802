import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { folderDigest, type Workstation } from './project.ts'

/** A repository as DVC 0.30 left it in 2019: three stages, three tags, every byte of DVC's own files as that version wrote it. */
export interface LegacyRepository {
  /** Tags in order, each with what the workspace held then. */
  tags: Array<{ name: string; data: string; model: string; accuracy: string }>
  stageFiles: string[]
}

interface LegacyStage {
  file: string
  cmd: string
  deps: string[]
  outs: Array<{ path: string; cache: boolean; metric: boolean }>
}

const STAGES: LegacyStage[] = [
  {
    file: 'load.dvc',
    cmd: 'python3 -B code/load.py',
    deps: ['code/load.py', 'config/load.json'],
    outs: [{ path: 'data', cache: true, metric: false }],
  },
  {
    file: 'train.dvc',
    cmd: 'sh code/train.sh',
    deps: ['code/train.sh', 'data'],
    outs: [{ path: 'model/model.txt', cache: true, metric: false }],
  },
  {
    file: 'evaluate.dvc',
    cmd: 'python3 -B code/evaluate.py',
    deps: ['code/evaluate.py', 'model/model.txt'],
    outs: [{ path: 'model/metrics.json', cache: false, metric: true }],
  },
]

// Half of the files end their lines with CRLF: their names in the cache are not the md5 of their bytes.
const LOAD = `import json, os
config = json.load(open("config/load.json"))
for index in range(config["count"]):
    folder = "data/%d" % (index % 3)
    os.makedirs(folder, exist_ok=True)
    end = b"\\r\\n" if index % 2 else b"\\n"
    with open("%s/%03d.txt" % (folder, index), "wb") as out:
        out.write((b"sample %d of %d" % (index, config["count"])) + end + b"second line" + end)
`
const TRAIN = `set -e
find data -type f | LC_ALL=C sort | xargs cat | cksum > model/model.txt
printf 'trained\\r\\n' >> model/model.txt
`
const EVALUATE = `import json
words = open("model/model.txt").read().split()
accuracy = round(int(words[0]) % 1000 / 1000, 3)
with open("model/metrics.json", "w") as out:
    out.write('{"acc": %s, "size": %s}\\n' % (accuracy, words[1]))
`

/** Makes the repository in the workstation's folder; the work tree stands at the last tag, on `master`, clean. */
export function writeLegacyRepository(station: Workstation): LegacyRepository {
  const { dir } = station
  execFileSync('git', ['init', '-q', '-b', 'master', dir])
  initDvc(dir)
  for (const [file, text] of Object.entries({ 'code/load.py': LOAD, 'code/train.sh': TRAIN, 'code/evaluate.py': EVALUATE }))
    write(dir, file, text)
  mkdirSync(path.join(dir, 'model'))
  const tags = [4, 7, 12].map((count, index) => {
    write(dir, 'config/load.json', JSON.stringify({ count }))
    for (const stage of STAGES) runStage(dir, stage)
    const name = `0.${index + 1}`
    station.git('add', '-A')
    station.git('commit', '-qm', `version ${name}`)
    station.git('tag', name)
    return {
      name,
      data: folderDigest(path.join(dir, 'data')) ?? '',
      model: readFileSync(path.join(dir, 'model/model.txt'), 'latin1'),
      accuracy: /"acc": ([0-9.]+)/.exec(readFileSync(path.join(dir, 'model/metrics.json'), 'utf8'))?.[1] ?? '',
    }
  })
  return { tags, stageFiles: STAGES.map(({ file }) => file) }
}

function write(dir: string, file: string, text: string): void {
  mkdirSync(path.dirname(path.join(dir, file)), { recursive: true })
  writeFileSync(path.join(dir, file), text)
}

function initDvc(dir: string): void {
  write(dir, '.dvc/.gitignore', '/state\n/lock\n/config.local\n/updater\n/updater.lock\n/state-journal\n/state-wal\n/cache')
  write(dir, '.dvc/config', `['remote "storage"']\nurl = ../../storage\n[core]\nremote = storage`)
  write(dir, '.dvc/state', 'SQLite format 3\0')
  write(dir, '.dvc/lock', '')
}

function runStage(dir: string, stage: LegacyStage): void {
  for (const out of stage.outs) rmSync(path.join(dir, out.path), { recursive: true, force: true })
  execFileSync('sh', ['-c', stage.cmd], { cwd: dir })
  const deps = stage.deps.map((file) => ({ md5: digestOf(dir, file), path: file }))
  const outs = stage.outs.map(({ path: file, cache, metric }) => {
    if (cache) {
      ignore(dir, file)
      saveToCache(dir, file)
    }
    return { cache, md5: digestOf(dir, file), metric, path: file }
  })
  writeFileSync(path.join(dir, stage.file), stageText(stage.cmd, deps, outs))
}

type Entry = { md5: string; path: string }
type OutEntry = Entry & { cache: boolean; metric: boolean }

function stageText(cmd: string, deps: readonly Entry[], outs: readonly OutEntry[]): string {
  const canonical = `{"cmd": ${JSON.stringify(cmd)}, "deps": [${deps.map(entryJson).join(', ')}], "outs": [${outs
    .map((out) => `{"cache": ${out.cache}, ${entryJson(out).slice(1)}`)
    .join(', ')}]}`
  const depLines = deps.map((dep) => `- md5: ${quoted(dep.md5)}\n  path: ${dep.path}\n`).join('')
  const outLines = outs
    .map((out) => {
      const metric = out.metric ? '\n    type: json\n    xpath: acc' : ' false'
      return `- cache: ${out.cache}\n  md5: ${quoted(out.md5)}\n  metric:${metric}\n  path: ${out.path}\n`
    })
    .join('')
  return `cmd: ${cmd}\ndeps:\n${depLines}md5: ${quoted(md5(canonical))}\nouts:\n${outLines}wdir: .\n`
}

const entryJson = ({ md5: digest, path: file }: Entry): string => `{"md5": "${digest}", "path": "${file}"}`

/** A digest that YAML would read as a number is quoted. */
const quoted = (digest: string): string => (/^\d+$|^\d+e\d+$/.test(digest) ? `'${digest}'` : digest)

/** Entries were appended without a line end. */
function ignore(dir: string, file: string): void {
  const list = path.join(dir, path.dirname(file), '.gitignore')
  const entry = `/${path.basename(file)}`
  const text = existsSync(list) ? readFileSync(list, 'utf8') : ''
  if (!text.split('\n').includes(entry)) appendFileSync(list, text === '' || text.endsWith('\n') ? entry : `\n${entry}`)
}

function digestOf(dir: string, file: string): string {
  return statSync(path.join(dir, file)).isDirectory()
    ? `${md5(listing(dir, file))}.dir`
    : legacyMd5(readFileSync(path.join(dir, file)))
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(path.join(folder, name)).isFile())
    .toSorted()
}

function listing(dir: string, folder: string): string {
  const rows = filesBelow(path.join(dir, folder)).map(
    (name) => `{"md5": "${legacyMd5(readFileSync(path.join(dir, folder, name)))}", "relpath": "${name}"}`,
  )
  return `[${rows.join(', ')}]`
}

function saveToCache(dir: string, file: string): void {
  const location = path.join(dir, file)
  if (!statSync(location).isDirectory()) return moveToCache(dir, location, legacyMd5(readFileSync(location)))
  const text = listing(dir, file)
  for (const name of filesBelow(location))
    moveToCache(dir, path.join(location, name), legacyMd5(readFileSync(path.join(location, name))))
  const tree = objectPath(dir, `${md5(text)}.dir`)
  if (!existsSync(tree)) writeFileSync(tree, text)
}

/** The workspace's file becomes a hard link to the object, which stays writable as 0.30 left it. */
function moveToCache(dir: string, file: string, digest: string): void {
  const object = objectPath(dir, digest)
  if (existsSync(object)) {
    rmSync(file)
    linkSync(object, file)
  } else linkSync(file, object)
}

function objectPath(dir: string, digest: string): string {
  const object = path.join(dir, '.dvc/cache', digest.slice(0, 2), digest.slice(2))
  mkdirSync(path.dirname(object), { recursive: true })
  return object
}

const md5 = (bytes: string | Uint8Array): string => createHash('md5').update(bytes).digest('hex')

/** md5 with CRLF as LF, for texts. The files here are small, and all of them texts. */
const legacyMd5 = (bytes: Buffer): string => md5(Buffer.from(bytes.toString('latin1').replaceAll('\r\n', '\n'), 'latin1'))
