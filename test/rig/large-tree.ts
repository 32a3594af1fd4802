import { closeSync, openSync, writeSync } from 'node:fs'
import { createHash } from 'node:crypto'
import type { Digest } from '@cairn/protocol/digest'

export interface LargeTree {
  /** The tree's bytes are in this file. */
  file: string
  digest: Digest
  size: number
}

const PIECE_ENTRIES = 10_000

/**
 * Writes a tree of any number of files, in dvc's serialisation, some hundred bytes an entry: a million take two seconds.
 * `md5At` names the content of each; a few contents that come often keep the store small.
 */
export function writeLargeTree(file: string, entries: number, md5At: (index: number) => string): LargeTree {
  const md5 = createHash('md5')
  const fd = openSync(file, 'w')
  let size = 0
  const write = (text: string) => {
    const bytes = Buffer.from(text, 'latin1')
    md5.update(bytes)
    writeSync(fd, bytes)
    size += bytes.length
  }
  const width = String(entries).length
  for (let from = 0; from < entries; from += PIECE_ENTRIES) {
    let text = from === 0 ? '[' : ', '
    for (let index = from; index < Math.min(entries, from + PIECE_ENTRIES); index++) {
      // Folders of a thousand files, in the order of their paths.
      const number = String(index).padStart(width, '0')
      text += `${index === from ? '' : ', '}{"md5": "${md5At(index)}", "relpath": "images/${number.slice(0, -3)}/image-${number}.jpg"}`
    }
    write(text)
  }
  write(entries === 0 ? '[]' : ']')
  closeSync(fd)
  return { file, digest: `${md5.digest('hex')}.dir` as Digest, size }
}
