import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { CairnError } from '@cairn/protocol/error'

/** One git that answers many questions, in their order. It keeps cairn alive only while one is open, so one that nobody closes does no harm. */
export interface GitChild<T> {
  /** `question` as the child reads it, with what ends it. @throws CairnError FAILED when the child ends before it has answered */
  ask(question: string): Promise<T>
  close(): Promise<void>
}

interface Asked<T> {
  resolve(answer: T): void
  reject(error: CairnError): void
}

/** `parserOf` makes what takes the child's output and calls back with each answer in it. */
export function startGitChild<T>(
  root: string,
  args: readonly string[],
  parserOf: (answer: (value: T) => void) => (chunk: Buffer) => void,
): GitChild<T> {
  const child = spawn('git', args, { cwd: root, stdio: ['pipe', 'pipe', 'ignore'] })
  const open: Array<Asked<T>> = []
  let ended: CairnError | undefined
  const exited = once(child, 'close').catch(() => undefined)
  const hold = (held: boolean) => {
    for (const handle of [child, child.stdin as Socket, child.stdout as Socket]) {
      if (held) handle.ref()
      else handle.unref()
    }
  }
  const end = (cause?: unknown) => {
    ended ??= new CairnError('FAILED', `git ${args[0]} ended before it had answered`, { cause })
    for (const question of open.splice(0)) question.reject(ended)
  }
  const parse = parserOf((value) => {
    open.shift()?.resolve(value)
    if (open.length === 0) hold(false)
  })
  child.stdout.on('data', parse)
  child.stdin.on('error', end)
  child.on('error', end)
  child.on('close', () => end())
  hold(false)

  return {
    ask: (question) =>
      new Promise((resolve, reject) => {
        if (ended) return reject(ended)
        hold(true)
        open.push({ resolve, reject })
        child.stdin.write(question)
      }),
    async close() {
      if (!ended) hold(true)
      child.stdin.end()
      await exited
    },
  }
}
