import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'

/** Asks Git which paths it ignores, many of them through one child. */
export interface IgnoredReader {
  /**
   * `file` is relative to Git's root. undefined when the child ended without an answer. What others change in ignore files
   * after the first question may be missed.
   */
  ask(file: string): Promise<boolean | undefined>
  close(): Promise<void>
}

type Child = ChildProcessByStdio<Writable, Readable, null>

/** Source, line, pattern and path. */
const PARTS = 4

/** One `git check-ignore --stdin`. It keeps cairn alive only while a question is open. */
export function openIgnoredReader(root: string): IgnoredReader {
  const args = ['check-ignore', '--no-index', '--verbose', '--non-matching', '-z', '--stdin']
  const child = spawn('git', args, { cwd: root, stdio: ['pipe', 'pipe', 'ignore'] })
  const open: Array<(answer: boolean | undefined) => void> = []
  let pending = ''
  let ended = false
  const exited = once(child, 'close').catch(() => undefined)
  const answer = (ignored: boolean | undefined) => {
    open.shift()?.(ignored)
    if (open.length === 0) hold(child, false)
  }
  const end = () => {
    ended = true
    while (open.length > 0) answer(undefined)
  }
  // Only its ASCII parts are looked at.
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    const parts = (pending + text).split('\0')
    while (parts.length > PARTS) {
      const [source = '', , pattern = ''] = parts.splice(0, PARTS)
      answer(source !== '' && !pattern.startsWith('!'))
    }
    pending = parts.join('\0')
  })
  child.stdin.on('error', end)
  child.on('error', end)
  child.on('close', end)
  hold(child, false)

  return {
    ask(file) {
      return new Promise((resolve) => {
        if (ended) return resolve(undefined)
        hold(child, true)
        open.push(resolve)
        child.stdin.write(`${file}\0`)
      })
    },
    async close() {
      if (!ended) hold(child, true)
      child.stdin.end()
      await exited
    },
  }
}

function hold(child: Child, held: boolean): void {
  for (const handle of [child, child.stdin as Socket, child.stdout as Socket]) {
    if (held) handle.ref()
    else handle.unref()
  }
}
