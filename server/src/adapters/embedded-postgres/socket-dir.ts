import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { ownerOf, type RunMode } from './run-mode.ts'

/** The path of a socket is limited to 107 bytes (103 on macOS), of which `/.s.PGSQL.5432.lock` takes 19. */
const LONGEST = 84

/**
 * The private folder of the socket. It is not below the data directory, whose path may be too long; its name is a function
 * of that path, so a killed server leaves nothing behind that its next start does not use again.
 */
export function makeSocketDir(data: string, mode: RunMode): string {
  const name = `cairn-pg-${createHash('sha256').update(fs.realpathSync(data)).digest('hex').slice(0, 12)}`
  const dir =
    [os.tmpdir(), '/tmp'].map((parent) => path.join(parent, name)).find((candidate) => candidate.length <= LONGEST) ??
    `/tmp/${name}`
  try {
    fs.mkdirSync(dir, { mode: 0o700 })
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
  }
  const stat = fs.lstatSync(dir)
  const uid = process.getuid?.() ?? stat.uid
  const wanted = ownerOf(mode) ?? uid
  // Anybody may write to the temporary folder: whoever owns this one reads and answers every query.
  if (!stat.isDirectory() || (stat.uid !== uid && stat.uid !== wanted)) {
    throw new CairnError('CONFIG', `${dir} belongs to somebody else`, { hint: 'remove it, or set TMPDIR to a private folder' })
  }
  if (stat.uid !== wanted) fs.chownSync(dir, wanted, wanted)
  fs.chmodSync(dir, 0o700)
  return dir
}
