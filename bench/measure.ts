import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface Sample {
  seconds: number
  /** Peak resident memory of the process itself, MiB; 0 where /proc does not tell. */
  mib: number
}

export interface Invocation {
  file: string
  args: readonly string[]
  cwd: string
  env: NodeJS.ProcessEnv
}

/** Runs a program once as a whole process. A run that fails is no sample: it throws with what was printed. */
export async function measure({ file, args, cwd, env }: Invocation): Promise<Sample> {
  const start = performance.now()
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let printed = ''
  const keep = (chunk: Buffer) => (printed = (printed + chunk.toString()).slice(-4000))
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  let mib = 0
  const watch = setInterval(() => (mib = Math.max(mib, peakMib(child.pid))), 20)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', resolve)
  })
  const seconds = (performance.now() - start) / 1000
  clearInterval(watch)
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} in ${cwd} exited with ${code}:\n${printed}`)
  return { seconds, mib }
}

/** VmHWM of a process: the kernel keeps the peak, so a late look still sees it. */
export function peakMib(pid: number | undefined): number {
  try {
    const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return line ? Number(line[1]) / 1024 : 0
  } catch {
    return 0
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}
