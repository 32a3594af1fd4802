import fs from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
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
  await removeAbandoned(dir)
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

async function removeAbandoned(dir: string): Promise<void> {
  for (const name of fs.readdirSync(dir)) {
    const pid = /^init-(\d+)$/.exec(name)?.[1]
    if (pid !== undefined && (Number(pid) === process.pid || !isAlive(Number(pid)))) await removeFolder(path.join(dir, name))
  }
}

/**
 * An initdb that outlived its server still writes here, and removes its own files once it fails: a removal that meets
 * either can end early, without an error, so only the folder's absence counts.
 */
async function removeFolder(folder: string): Promise<void> {
  const deadline = Date.now() + 10_000
  for (;;) {
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 })
    if (!fs.existsSync(folder)) return
    if (Date.now() > deadline) throw new CairnError('CONFIG', `${folder}: a file of an earlier start cannot be removed`)
    await setTimeout(50)
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
