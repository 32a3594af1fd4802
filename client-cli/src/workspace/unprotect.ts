import { CairnError } from '@cairn/protocol/error'
import { chmodSync, copyFileSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { explainFull } from '../io/full-disk.ts'
import type { Desk } from './desk.ts'
import { scanPath } from './digest-path.ts'
import { draftFor, replaceFile } from './drafts.ts'
import { createPace } from './pace.ts'
import { absoluteOf, LINK, MANY_NAMES, READ_ONLY } from './scan.ts'

/** Makes a path's files the workspace's own: writable, and shared with nothing. See `Workspace.unprotect`. */
export async function unprotect(desk: Desk, file: string): Promise<void> {
  const scan = await scanPath(desk, file, {})
  if (!scan) throw new CairnError('COMMAND_FAILED', `can't unprotect non-existing data '${file}'`, { exit: 255 })
  const pace = createPace(desk.signal)
  for (let row = 0; row < scan.rows.count; row++) {
    const waiting = pace()
    if (waiting) await waiting
    const flags = scan.flags[row] ?? 0
    if ((flags & (LINK | MANY_NAMES)) !== 0) replaceByCopy(desk, absoluteOf(scan, row))
    else if ((flags & READ_ONLY) !== 0) chmodSync(absoluteOf(scan, row), writableMode(absoluteOf(scan, row)))
  }
}

const writableMode = (file: string): number => (statSync(file).mode & 0o777) | 0o200 | (0o044 & ~process.umask())

function replaceByCopy(desk: Desk, file: string): void {
  const draft = draftFor(desk, path.dirname(file))
  try {
    copyFileSync(file, draft)
    chmodSync(draft, writableMode(file))
  } catch (error) {
    rmSync(draft, { force: true })
    throw explainFull(error, file)
  }
  replaceFile(draft, file)
}
