import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

/** Linux tells times in ticks of 10 ms. */
const TICK_SECONDS = 0.01

/** CPU seconds of a process: its own, and with `children` also those of its children that have ended. */
export interface CpuTimes {
  parent: number
  own: number
  children: number
}

/** Parses `/proc/<pid>/stat`. The command's name may hold blanks and brackets, so the fields are counted from its last bracket. */
export function parseProcessStat(text: string): CpuTimes {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = (field: number) => Number(fields[field - 3] ?? Number.NaN)
  return {
    parent: ticks(4),
    own: (ticks(14) + ticks(15)) * TICK_SECONDS,
    children: (ticks(16) + ticks(17)) * TICK_SECONDS,
  }
}

/** Parses the first line of `/proc/stat`: CPU seconds that the machine was busy with anything; waiting for a disk is not busy. */
export function parseBusySeconds(text: string): number {
  const line = /^cpu +(.+)$/m.exec(text)?.[1]
  if (line === undefined) throw new Error('/proc/stat has no line for all processors')
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').map(Number)
  return (user + nice + system + irq + softirq + steal) * TICK_SECONDS
}

/** Parses VmHWM of `/proc/<pid>/status`: the peak of the resident memory, MiB; 0 when the process has none any more. */
export function parsePeakMib(text: string): number {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) / 1024
}

/** Whether this system tells what the functions below ask. */
export const HAS_PROC = process.platform === 'linux'

export function busySeconds(): number {
  return HAS_PROC ? parseBusySeconds(readFileSync('/proc/stat', 'utf8')) : 0
}

/** Of a process; undefined when it is gone. */
export function cpuTimes(pid: number): CpuTimes | undefined {
  const text = readGone(`/proc/${pid}/stat`)
  return text === undefined ? undefined : parseProcessStat(text)
}

/** The kernel keeps the peak, so a late look still sees it. */
export function peakMib(pid: number): number {
  return parsePeakMib(readGone(`/proc/${pid}/status`) ?? '')
}

/** CPU seconds of these processes and of all below them, living or ended. */
export function treeSeconds(roots: readonly number[]): number {
  if (!HAS_PROC || roots.length === 0) return 0
  const known = new Map<number, CpuTimes>()
  for (const name of readdirSync('/proc')) {
    const times = /^\d+$/.test(name) ? cpuTimes(Number(name)) : undefined
    if (times) known.set(Number(name), times)
  }
  const isBelow = (pid: number): boolean => {
    for (let at = pid; ;) {
      if (roots.includes(at)) return true
      const parent = known.get(at)?.parent
      if (parent === undefined || parent === 0) return false
      at = parent
    }
  }
  let sum = 0
  for (const [pid, { own, children }] of known) if (isBelow(pid)) sum += own + children
  return sum
}

function readGone(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

/** The process that a service's file names, as scripts/real-parts.mjs writes it. */
export function servicePid(file: string): number | undefined {
  const text = readGone(file)
  return text === undefined ? undefined : (JSON.parse(text) as { pid: number }).pid
}

/** Lets the kernel count a process' peak of resident memory from now on. */
export function forgetPeak(pid: number): void {
  if (HAS_PROC) writeFileSync(`/proc/${pid}/clear_refs`, '5')
}
