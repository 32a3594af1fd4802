import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { CairnError } from '@cairn/protocol/error'

/** Reads objects out of a Git repository, many of them through one child. */
export interface BlobReader {
  /** `name` as `<rev>:<path>`, without a line feed. undefined when there is no such blob. */
  read(name: string): Promise<Buffer | undefined>
  close(): Promise<void>
}

interface Question {
  resolve(answer: Buffer | undefined): void
  reject(error: unknown): void
}

type Child = ChildProcessByStdio<Writable, Readable, null>

/** One `git cat-file --batch`. It keeps cairn alive only while a question is open, so a reader that nobody closes does no harm. */
export function openBlobReader(root: string): BlobReader {
  const child = spawn('git', ['cat-file', '--batch'], { cwd: root, stdio: ['pipe', 'pipe', 'ignore'] })
  const open: Question[] = []
  const parse = answerParser((answer) => {
    open.shift()?.resolve(answer)
    if (open.length === 0) hold(child, false)
  })
  let ended = false
  const exited = once(child, 'close').catch(() => undefined)
  const fail = (cause?: unknown) => {
    ended = true
    const error = new CairnError('FAILED', 'git cat-file ended before it had answered', { cause })
    for (const question of open.splice(0)) question.reject(error)
  }
  child.stdout.on('data', parse)
  child.stdin.on('error', fail)
  child.on('error', fail)
  child.on('close', () => fail())
  hold(child, false)

  return {
    read(name) {
      return new Promise((resolve, reject) => {
        if (ended) return reject(new CairnError('FAILED', 'git cat-file has ended'))
        hold(child, true)
        open.push({ resolve, reject })
        child.stdin.write(`${name}\n`)
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

/** `<oid> <type> <size>⏎<bytes>⏎` for what is there, `<name> missing⏎` and the like for what is not. */
function answerParser(answer: (bytes: Buffer | undefined) => void): (chunk: Buffer) => void {
  let pending: Buffer[] = []
  let length = 0
  /** Bytes that have to be there before parsing makes sense again: keeps a large blob from being joined once per chunk. */
  let needed = 1
  return (chunk) => {
    pending.push(chunk)
    length += chunk.length
    if (length < needed) return
    let bytes = Buffer.concat(pending)
    needed = 1
    for (;;) {
      const lineEnd = bytes.indexOf(10)
      if (lineEnd < 0) break
      const header = /^[0-9a-f]{40,64} (\w+) (\d+)$/.exec(bytes.toString('utf8', 0, lineEnd))
      const end = lineEnd + 1 + (header ? Number(header[2]) + 1 : 0)
      if (bytes.length < end) {
        needed = end
        break
      }
      answer(header?.[1] === 'blob' ? Buffer.from(bytes.subarray(lineEnd + 1, end - 1)) : undefined)
      bytes = bytes.subarray(end)
    }
    pending = [bytes]
    length = bytes.length
  }
}
