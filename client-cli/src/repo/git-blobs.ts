import { startGitChild } from './git-child.ts'

/** Reads objects out of a Git repository, many of them through one child. */
export interface BlobReader {
  /** `name` as `<rev>:<path>`, without a line feed. undefined when there is no such blob. */
  read(name: string): Promise<Buffer | undefined>
  close(): Promise<void>
}

/** One `git cat-file --batch`. */
export function openBlobReader(root: string): BlobReader {
  const child = startGitChild(root, ['cat-file', '--batch'], answerParser)
  return { read: (name) => child.ask(`${name}\n`), close: child.close }
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
