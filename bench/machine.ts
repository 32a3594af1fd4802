import { spawn, spawnSync } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { busySeconds, cpuTimes, peakMib, treeSeconds } from './proc.ts'
import type { Sample } from './ratio.ts'

export interface Invocation {
  file: string
  args: readonly string[]
  cwd: string
  env: NodeJS.ProcessEnv
}

export type Timing = Pick<Sample, 'seconds' | 'cpu' | 'serverCpu' | 'mib' | 'other'>

/** Times programs on this machine, and knows which other processes belong to the bench. */
export interface Machine {
  /** Counts this process and all below it as one of our servers. */
  own(pid: number): void
  /** Waits until what was written is on the disk, so that nobody pays for it who comes later. */
  settle(): Promise<void>
  /** Runs a program once, as a whole process. A run that fails is no sample. @throws Error with what it printed */
  run(invocation: Invocation): Promise<Timing & { printed: string }>
  /** Times something in this process, such as a floor. */
  time(work: () => void | Promise<void>): Promise<Timing>
}

const LOOK_MILLISECONDS = 20
const PRINTED_CHARACTERS = 20_000

export function createMachine(): Machine {
  const servers: number[] = []
  return {
    own: (pid) => void servers.push(pid),
    async settle() {
      spawnSync('sync')
      await pause(50)
    },
    async run(invocation) {
      const before = look(servers)
      const { seconds, mib, printed } = await runToEnd(invocation)
      const { cpu, serverCpu, other } = spent(before, look(servers), seconds)
      return { seconds, cpu, serverCpu, mib, other, printed }
    },
    async time(work) {
      const before = look(servers)
      const start = performance.now()
      await work()
      const seconds = (performance.now() - start) / 1000
      const after = look(servers)
      const { serverCpu, other } = spent(before, after, seconds)
      return { seconds, cpu: after.self - before.self, serverCpu, mib: 0, other }
    },
  }
}

/** CPU seconds so far: of all, of our servers, of this process, of its children that have ended. */
interface Look {
  busy: number
  servers: number
  self: number
  ended: number
}

function look(servers: readonly number[]): Look {
  const { user, system } = process.cpuUsage()
  return {
    busy: busySeconds(),
    servers: treeSeconds(servers),
    self: (user + system) / 1e6,
    ended: cpuTimes(process.pid)?.children ?? 0,
  }
}

/** A program that has ended is the only child that ended meanwhile: what this process' children gained is its time. */
function spent(before: Look, after: Look, seconds: number): Pick<Timing, 'cpu' | 'serverCpu' | 'other'> {
  const cpu = after.ended - before.ended
  const serverCpu = after.servers - before.servers
  const others = after.busy - before.busy - cpu - serverCpu - (after.self - before.self)
  return { cpu, serverCpu, other: shareOf(others, seconds) }
}

/** The clocks of /proc go by 10 ms: a few ticks in a short run say nothing about anybody else. */
function shareOf(others: number, seconds: number): number {
  return others < 0.05 || seconds <= 0 ? 0 : others / seconds
}

async function runToEnd({ file, args, cwd, env }: Invocation): Promise<{ seconds: number; mib: number; printed: string }> {
  let printed = ''
  const keep = (chunk: Buffer) => (printed = (printed + chunk.toString()).slice(-PRINTED_CHARACTERS))
  let mib = 0
  const start = performance.now()
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const watch = setInterval(() => (mib = Math.max(mib, peakMib(child.pid ?? 0))), LOOK_MILLISECONDS)
  const ended = new Promise<number>((resolve) => child.on('exit', () => resolve(performance.now())))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  }).finally(() => clearInterval(watch))
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} in ${cwd} ended with ${code}:\n${printed}`)
  return { seconds: ((await ended) - start) / 1000, mib, printed }
}
