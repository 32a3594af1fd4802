import { lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { removeAbandoned } from '../cache/incoming.ts'
import type { Desk } from './desk.ts'

const RUN = `${process.pid}-${Date.now().toString(36)}`
let serial = 0

/**
 * A free name on the file system of `folder` (which exists), for a file that will be renamed into it. In `.dvc/tmp` where
 * that is the same file system, so that what a crash leaves is never taken for content.
 */
export function draftFor(desk: Desk, folder: string): string {
  const work = path.join(desk.repo.tmpDir, 'cairn', 'work')
  const name = `${RUN}-${serial++}`
  if (!made.has(work)) {
    mkdirSync(work, { recursive: true })
    made.set(work, lstatSync(work).dev)
    removeAbandoned(work)
  }
  return lstatSync(folder).dev === made.get(work) ? path.join(work, name) : path.join(folder, `.cairn-${name}`)
}

const made = new Map<string, number>()

/** Puts a new file in the place of an old one: the place is never empty, and never half full. */
export function replaceFile(draft: string, target: string): void {
  try {
    renameSync(draft, target)
  } catch (error) {
    rmSync(draft, { force: true, recursive: true })
    throw error
  }
}
