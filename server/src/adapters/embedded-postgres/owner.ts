import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { isCode } from '@cairn/protocol/error'

/**
 * Who started a postmaster, as text in its command line (`-c cairn.owner=<pid>.<start time>`): bound to that very process,
 * so a server that finds the cluster taken can tell a living owner from a killed one without a lock file of its own.
 */
export function ownOwner(): string {
  return `${process.pid}.${startTime(process.pid) ?? 0}`
}

export function isOwnerAlive(owner: string): boolean {
  const [pid = '0', start = '0'] = owner.split('.')
  if (!isAlive(Number(pid))) return false
  // A pid can have been given to another program since; its start time, in ticks since boot, tells.
  return start === '0' || String(startTime(Number(pid)) ?? start) === start
}

export function ownerOfPostmaster(commandLine: string): string | undefined {
  return /cairn\.owner=(\d+\.\d+)/.exec(commandLine)?.[1]
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}

/** The command line of a process, its arguments parted by blanks; undefined when there is no such process. */
export function commandLineOf(pid: number): string | undefined {
  if (process.platform !== 'linux')
    return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout || undefined
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ESRCH')) return undefined
    throw error
  }
}

/** Field 22 of /proc/<pid>/stat; the second field may hold blanks, so counting starts behind its bracket. */
function startTime(pid: number): string | undefined {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ESRCH', 'EACCES')) return undefined
    throw error
  }
}
