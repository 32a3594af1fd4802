import { isTree } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import { mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { lstatOrNone } from '../cache/file-stat.ts'
import { explainFull } from '../io/full-disk.ts'
import { makeFolders } from '../io/make-folders.ts'
import type { LinkType } from '../repo/repo.ts'
import type { Desk } from './desk.ts'
import { recordScan } from './digest-path.ts'
import { draftFor, replaceFile } from './drafts.ts'
import type { EarlyFiles } from './workspace.ts'
import { chooseLink, makeExecutable, materialize } from './link.ts'
import { createPace } from './pace.ts'
import type { OutputPlan } from './plan-checkout.ts'
import { type PlacedRecord, recordPlan } from './placed-record.ts'
import { relinkRows } from './relink.ts'
import type { Scan } from './scan.ts'

export interface CarryOptions {
  relink: boolean
  /** Files that are written already. */
  early?: EarlyFiles | undefined
  onFile: () => void
}

interface PlaceOptions extends CarryOptions {
  link: LinkType
  record: PlacedRecord
}

/** Does what a plan says. Interrupted, it leaves old files and new ones, each whole, and loses nothing that is not saved. */
export async function carryOut(desk: Desk, plan: OutputPlan, options: CarryOptions): Promise<void> {
  const { wanted, root } = plan
  deleteFiles(desk, plan)
  if (wanted.digest === undefined) {
    desk.links.delete(wanted.path)
    return
  }
  if (plan.change !== 'none') await placeFiles(desk, plan, options)
  else if (plan.makeExecutable) makeExecutable(root)
  if (options.relink && plan.scan) await relinkKept(desk, plan, plan.scan)
  if (wanted.inside === undefined) desk.links.set(wanted.path, wanted.digest)
}

function deleteFiles(desk: Desk, plan: OutputPlan): void {
  const folders = new Set<string>()
  for (const file of plan.deletes) {
    const absolute = path.join(plan.root, file)
    rmSync(absolute, { force: true, recursive: true })
    folders.add(path.dirname(absolute))
  }
  if (plan.wanted.digest === undefined && plan.current) folders.add(plan.current.entries ? plan.root : path.dirname(plan.root))
  for (const folder of folders) removeEmptied(folder, plan.wanted.digest === undefined ? desk.repo.root : path.dirname(plan.root))
}

/** Removes a folder that is empty now, and its parents that are, below `top`. */
export function removeEmptied(folder: string, top: string): void {
  try {
    for (let at = folder; at.startsWith(top + path.sep); at = path.dirname(at)) rmdirSync(at)
  } catch (error) {
    if (!isCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR', 'EBUSY', 'EPERM', 'EACCES')) throw error
  }
}

async function placeFiles(desk: Desk, plan: OutputPlan, options: CarryOptions): Promise<void> {
  const { wanted, root } = plan
  makeFolders(path.dirname(root))
  const link = chooseLink(desk, wanted.kind, path.dirname(root))
  const isFolder = wanted.digest !== undefined && isTree(wanted.digest)
  const record = recordPlan(desk, plan)
  if (isFolder && !lstatOrNone(root)) await placeWholeFolder(desk, plan, { ...options, link, record })
  else await placeEach(desk, plan, { ...options, link, record })
  await record.finish()
}

/** A new folder is built aside and appears as a whole: no file of it needs a rename of its own, and a crash leaves nothing half done. */
async function placeWholeFolder(desk: Desk, plan: OutputPlan, options: PlaceOptions): Promise<void> {
  const { link, record } = options
  const early = plan.wanted.digest && options.early?.take(plan.root, plan.wanted.digest)
  const draft = early ? early.draft : draftFor(desk, path.dirname(plan.root))
  const pace = createPace(desk.signal)
  const folders = new Set([draft])
  try {
    mkdirSync(draft, { recursive: true })
    for (const { path: file, digest } of plan.writes) {
      const waiting = pace()
      if (waiting) await waiting
      options.onFile()
      if (early?.placed.has(digest)) {
        record.add(file, digest)
        continue
      }
      const target = `${draft}/${file}`
      makeFolder(target.slice(0, target.lastIndexOf('/')), folders)
      const placed = materialize(desk, digest, target, link)
      record.add(file, digest, placed instanceof Promise ? await placed : placed)
    }
    renameSync(draft, plan.root)
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    throw explainFull(error, plan.root)
  }
}

function makeFolder(folder: string, made: Set<string>): void {
  if (made.has(folder)) return
  mkdirSync(folder, { recursive: true })
  made.add(folder)
}

async function placeEach(desk: Desk, plan: OutputPlan, { link, record, onFile }: PlaceOptions): Promise<void> {
  const pace = createPace(desk.signal)
  const folders = new Set<string>()
  if (plan.wanted.digest !== undefined && isTree(plan.wanted.digest)) makeFolder(plan.root, folders)
  for (const { path: file, digest } of plan.writes) {
    const waiting = pace()
    if (waiting) await waiting
    const target = path.join(plan.root, file)
    const folder = path.dirname(target)
    makeFolder(folder, folders)
    removeEmptyFolder(target)
    const draft = draftFor(desk, folder)
    await materialize(desk, digest, draft, link, { isexec: file === '' && plan.wanted.isexec === true })
    replaceFile(draft, target)
    record.add(file, digest)
    onFile()
  }
}

/** A file takes the place of a folder that held nothing but what was deleted. */
function removeEmptyFolder(target: string): void {
  if (!lstatOrNone(target)?.isDirectory()) return
  for (const name of readdirSync(target)) removeEmptyFolder(path.join(target, name))
  rmdirSync(target)
}

async function relinkKept(desk: Desk, plan: OutputPlan, scan: Scan): Promise<void> {
  if (plan.kept.length < scan.rows.count || plan.change !== 'none') return
  const folder = scan.rows.path(0) === '' ? path.dirname(plan.root) : plan.root
  await relinkRows(desk, scan, chooseLink(desk, plan.wanted.kind, folder))
  if (plan.current) recordScan(desk, plan.wanted.path, scan, plan.current.digest)
}
