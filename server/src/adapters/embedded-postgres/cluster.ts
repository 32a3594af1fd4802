import fs from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { isAlive } from './owner.ts'
import { ownerOf, type RunAs } from './run-mode.ts'
import { run } from './command.ts'

/** The superuser and the database of the server. */
export const NAME = 'cairn'

/** The major version of the cluster in `data`; undefined when there is none yet. */
export function clusterMajor(data: string): string | undefined {
  try {
    return fs.readFileSync(path.join(data, 'PG_VERSION'), 'utf8').trim()
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

/**
 * Makes a cluster in `data`. It is made elsewhere and renamed: a kill half way leaves a folder `init-<pid>` that the next
 * start removes, and two servers that start at once agree on the first one's.
 */
export async function makeCluster(
  bin: string,
  data: string,
  as: RunAs,
  options: { durable: boolean; signal?: AbortSignal | undefined },
): Promise<void> {
  const dir = path.dirname(data)
  removeAbandoned(dir)
  const tmp = path.join(dir, `init-${process.pid}`)
  fs.mkdirSync(tmp, { mode: 0o700 })
  const owner = ownerOf(as.mode)
  if (owner !== undefined) fs.chownSync(tmp, owner, owner)
  const flags = ['-U', NAME, '--auth=trust', '-E', 'UTF8', '--locale=C', ...(options.durable ? [] : ['--no-sync'])]
  const { code, output } = await run([...as.prefix, path.join(bin, 'initdb'), '-D', tmp, ...flags], options.signal)
  if (code !== 0) {
    fs.rmSync(tmp, { recursive: true, force: true })
    throw new CairnError('CONFIG', `${data}: PostgreSQL could not make its files: ${output.trim().slice(-2000)}`)
  }
  try {
    fs.renameSync(tmp, data)
  } catch (error) {
    fs.rmSync(tmp, { recursive: true, force: true })
    if (!isCode(error, 'ENOTEMPTY', 'EEXIST')) throw error
  }
  // Without this a power cut could undo the rename after rows were written below the new name.
  if (options.durable) syncFolder(dir)
}

function removeAbandoned(dir: string): void {
  for (const name of fs.readdirSync(dir)) {
    const pid = /^init-(\d+)$/.exec(name)?.[1]
    if (pid !== undefined && (Number(pid) === process.pid || !isAlive(Number(pid))))
      // What initdb had started may write for a moment after it was killed.
      fs.rmSync(path.join(dir, name), { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }
}

function syncFolder(dir: string): void {
  const folder = fs.openSync(dir, 'r')
  try {
    fs.fsyncSync(folder)
  } finally {
    fs.closeSync(folder)
  }
}
