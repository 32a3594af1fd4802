import { type Digest, isLegacy, isTree, makeDigest } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { lstatSync, readdirSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { lstatOrNone } from '../cache/file-stat.ts'
import { md5OfFile } from '../cache/md5.ts'
import { absolutePath, type Desk } from './desk.ts'
import { contentOfScan, hashUnknown, isSingle, recordScan, scanPath } from './digest-path.ts'
import { findUnsound } from './find-unsound.ts'
import { absoluteOf, digestOf, EXECUTABLE, LINK, type Scan } from './scan.ts'
import { followLink } from './walk.ts'
import type { Content, FileCounts, Wanted } from './workspace.ts'

/** One file to write; `path` is relative to the output, '' for the output itself. */
export interface Placement {
  path: string
  digest: Digest
}

/** Everything that a checkout of one output would do. Nothing is touched before the plans of all outputs are made. */
export interface OutputPlan {
  wanted: Wanted
  /** Absolute. */
  root: string
  /** What stands there; undefined for nothing. */
  scan: Scan | undefined
  /** Of the scan. */
  current: Content | undefined
  change: 'none' | 'added' | 'modified' | 'deleted'
  files: FileCounts
  /** Rows of the scan that are right as they are. */
  kept: number[]
  /** Paths (relative to the output) to delete: files that are not wanted, and what stands in the way. */
  deletes: string[]
  writes: Placement[]
  /** Absolute paths of bytes that are saved nowhere and would be lost. */
  unsaved: string[]
  missing: Digest[]
  /** Only the executable bit is wrong. */
  makeExecutable: boolean
}

export async function planOutput(desk: Desk, wanted: Wanted): Promise<OutputPlan> {
  const root = absolutePath(desk, wanted.path)
  refuseStrangeParents(desk, wanted.path)
  const blocked = isBlocked(root)
  const { scan, current } = (blocked === 'dead' ? undefined : await lookAt(desk, wanted)) ?? {}
  const plan: OutputPlan = {
    wanted,
    root,
    scan,
    current,
    change: 'none',
    files: { added: 0, modified: 0, deleted: 0 },
    kept: [],
    deletes: [],
    writes: [],
    unsaved: [],
    missing: [],
    makeExecutable: false,
  }
  if (current && current.digest === wanted.digest) return keepAll(plan)
  const target = readTarget(desk, plan)
  if (!target) return plan
  if (blocked) await replaceBlocker(desk, plan, target)
  else await compare(desk, plan, target)
  return plan
}

async function lookAt(desk: Desk, wanted: Wanted): Promise<{ scan: Scan; current: Content } | undefined> {
  const legacy = wanted.digest === undefined ? (wanted.legacy ?? false) : isLegacy(wanted.digest)
  const scan = await scanPath(desk, wanted.path, { legacy, previous: wanted.digest, tolerant: true })
  if (!scan) return undefined
  await hashUnknown(desk, scan)
  const current = await contentOfScan(desk, scan)
  recordScan(desk, wanted.path, scan, current.digest)
  return { scan, current }
}

/** `link`: a symlink to a folder, whose content is not ours to change. `dead`: a broken symlink, a pipe, a device. */
function isBlocked(root: string): 'link' | 'dead' | undefined {
  const stat = lstatOrNone(root)
  if (!stat || stat.isFile() || stat.isDirectory()) return undefined
  const target = stat.isSymbolicLink() ? followLink(root) : undefined
  if (target?.isFile()) return undefined
  return target?.isDirectory() ? 'link' : 'dead'
}

/** Only the link or pipe itself goes, nothing behind it. */
async function replaceBlocker(desk: Desk, plan: OutputPlan, target: readonly Placement[]): Promise<void> {
  plan.scan = undefined
  plan.deletes = ['']
  plan.writes = [...target]
  // A link into the cache that lost its object is our own.
  const ours =
    lstatSync(plan.root).isSymbolicLink() &&
    path.resolve(path.dirname(plan.root), readlinkSync(plan.root)).startsWith(desk.cache.dir + path.sep)
  if (!ours) plan.unsaved.push(plan.root)
  plan.missing = await missingOf(desk, plan)
  plan.change = plan.wanted.digest === undefined ? 'deleted' : 'modified'
  const single = target.some((entry) => entry.path === '')
  plan.files = { added: single ? 0 : target.length, modified: single ? 1 : 0, deleted: target.length === 0 ? 1 : 0 }
}

function keepAll(plan: OutputPlan): OutputPlan {
  plan.kept = Array.from({ length: plan.scan?.rows.count ?? 0 }, (_, row) => row)
  plan.makeExecutable = plan.wanted.isexec === true && ((plan.scan?.flags[0] ?? 0) & EXECUTABLE) === 0
  return plan
}

/** The files that should stand there; undefined (and noted in the plan) when the tree itself is not in the cache. */
function readTarget(desk: Desk, plan: OutputPlan): readonly Placement[] | undefined {
  const { digest, inside } = plan.wanted
  if (digest === undefined) return []
  if (!isTree(digest)) return [{ path: '', digest }]
  try {
    const entries = desk.cache.readTree(digest)
    return inside === undefined ? entries : entries.filter((entry) => isAtOrBelow(entry.path, inside))
  } catch (error) {
    if (!isCode(error, 'CACHE_MISSING', 'CACHE_DAMAGED')) throw error
    plan.missing.push(digest)
    return undefined
  }
}

const isAtOrBelow = (file: string, folder: string): boolean => file === folder || file.startsWith(`${folder}/`)

async function compare(desk: Desk, plan: OutputPlan, target: readonly Placement[]): Promise<void> {
  const { scan } = plan
  const wanted = new Map(target.map((entry) => [entry.path, entry.digest]))
  const losing: number[] = []
  for (let row = 0; row < (scan?.rows.count ?? 0); row++) {
    if (!scan) break
    const file = scan.rows.path(row)
    const digest = wanted.get(file)
    const outOfScope = plan.wanted.inside !== undefined && !isAtOrBelow(file, plan.wanted.inside)
    if (outOfScope || digest === digestOf(scan, row)) {
      plan.kept.push(row)
      wanted.delete(file)
      continue
    }
    losing.push(row)
    if (digest === undefined) plan.deletes.push(file)
  }
  plan.files = countFiles(plan, target, wanted.size, losing.length)
  plan.writes = Array.from(wanted, ([file, digest]) => ({ path: file, digest }))
  plan.unsaved = losing.filter((row) => scan && !isSaved(desk, scan, row)).map((row) => (scan ? absoluteOf(scan, row) : ''))
  findObstacles(plan)
  plan.missing = await missingOf(desk, plan)
  plan.change = changeOf(plan)
}

/** Before what stands in the way joins what is deleted. `losing`: files of the workspace that go or get other bytes. */
function countFiles(plan: OutputPlan, target: readonly Placement[], written: number, losing: number): FileCounts {
  const { scan, deletes } = plan
  const replaced = losing - deletes.length
  if (!scan || deletes.length === 0) return { added: written - replaced, modified: replaced, deleted: 0 }
  const isFolder = plan.wanted.digest !== undefined && isTree(plan.wanted.digest)
  // A file whose place a folder takes is what the folder's files are counted for; the other way round it is changed.
  if (isFolder && isSingle(scan)) return { added: written, modified: 0, deleted: 0 }
  const deleted = deletes.length + foldersLost(deletes, target)
  return isFolder ? { added: written - replaced, modified: replaced, deleted } : { added: 0, modified: written, deleted }
}

/** How many folders held nothing but what goes. */
function foldersLost(deletes: readonly string[], target: readonly Placement[]): number {
  const lost = new Set(deletes.flatMap(foldersOf))
  if (lost.size > 0) for (const { path: file } of target) for (const folder of foldersOf(file)) lost.delete(folder)
  return lost.size
}

function foldersOf(file: string): string[] {
  const folders: string[] = []
  for (let cut = file.indexOf('/'); cut > 0; cut = file.indexOf('/', cut + 1)) folders.push(file.slice(0, cut))
  return folders
}

const missingOf = (desk: Desk, plan: OutputPlan): Promise<Digest[]> =>
  findUnsound(desk, new Set(plan.writes.map(({ digest }) => digest)))

/**
 * A symlink's target keeps its bytes when the link goes. Bytes may be saved under the other kind of digest only: between a
 * revision of DVC 0.x–2.x and one of today, the kind changes.
 */
function isSaved(desk: Desk, scan: Scan, row: number): boolean {
  if (((scan.flags[row] ?? 0) & LINK) !== 0 || desk.cache.isSound(digestOf(scan, row))) return true
  const legacy = !scan.legacy
  return desk.cache.isSound(makeDigest(md5OfFile(absoluteOf(scan, row), { legacy }), { legacy }))
}

function changeOf(plan: OutputPlan): OutputPlan['change'] {
  if (plan.wanted.digest === undefined) return plan.scan ? 'deleted' : 'none'
  if (!plan.scan) return 'added'
  return plan.writes.length + plan.deletes.length > 0 || isTree(plan.wanted.digest) === isSingle(plan.scan) ? 'modified' : 'none'
}

/**
 * What the walk did not count as content but which stands where a file or a folder must be: symlinks (nothing is ever
 * written through one), pipes, files hidden by .dvcignore. They go only with force.
 */
function findObstacles(plan: OutputPlan): void {
  const going = new Set(plan.deletes)
  const known = new Set(plan.scan && Array.from({ length: plan.scan.rows.count }, (_, row) => plan.scan?.rows.path(row)))
  const folders = new Set<string>()
  const obstacles = new Set<string>()
  const check = (file: string, isFolder: boolean) => {
    const stat = lstatOrNone(path.join(plan.root, file))
    if (!stat || (isFolder && stat.isDirectory()) || going.has(file) || known.has(file)) return
    // An empty folder in a file's place holds nothing; one with content either goes row by row or keeps hidden files.
    if (!isFolder && stat.isDirectory() && holdsOnlyGoing(plan.root, file, going)) return
    obstacles.add(file)
  }
  if (!plan.scan) return
  const isFolder = plan.wanted.digest !== undefined && isTree(plan.wanted.digest)
  if (plan.writes.length > 0 && (isFolder || !isSingle(plan.scan))) check('', isFolder)
  for (const { path: file } of plan.writes) {
    for (let cut = file.indexOf('/'); cut > 0; cut = file.indexOf('/', cut + 1)) {
      const folder = file.slice(0, cut)
      if (folders.has(folder)) continue
      folders.add(folder)
      check(folder, true)
    }
    if (file !== '') check(file, false)
  }
  plan.deletes.push(...obstacles)
  plan.unsaved.push(...[...obstacles].map((file) => path.join(plan.root, file)))
}

/** True when every file below a folder goes anyway. */
function holdsOnlyGoing(root: string, folder: string, going: ReadonlySet<string>): boolean {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).every((entry) => {
    const file = folder === '' ? entry.name : `${folder}/${entry.name}`
    return entry.isDirectory() ? holdsOnlyGoing(root, file, going) : going.has(file)
  })
}

/** Nothing is written through a symlinked folder: it may lead out of the workspace. */
function refuseStrangeParents(desk: Desk, file: string): void {
  if (path.isAbsolute(file)) return
  for (let cut = file.indexOf('/'); cut > 0; cut = file.indexOf('/', cut + 1)) {
    const parent = file.slice(0, cut)
    const stat = lstatOrNone(path.join(desk.repo.root, parent))
    if (!stat) return
    if (stat.isDirectory()) continue
    const what = stat.isSymbolicLink() ? 'a symlink' : 'not a folder'
    throw new CairnError('FAILED', `cannot check out '${file}': '${parent}' is ${what}`, {
      hint: `Move '${parent}' out of the way.`,
    })
  }
}
