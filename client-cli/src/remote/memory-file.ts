import { readFileSync } from 'node:fs'
import path from 'node:path'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { isUnwritable } from '../io/full-disk.ts'
import { makeFolders } from '../io/make-folders.ts'

/** What was learnt of servers, by their urls: it saves a question next time, and no more. Whatever is wrong with the file, asking again repairs it. */
export interface MemoryFile {
  read(url: string): unknown
  /** A value that JSON can hold. Nothing is remembered where nothing can be written. */
  remember(url: string, value: unknown): void
}

export function memoryFile(file: string): MemoryFile {
  return {
    read: (url) => readAll(file)[url],
    remember(url, value) {
      try {
        makeFolders(path.dirname(file))
        writeFileAtomic(file, JSON.stringify({ ...readAll(file), [url]: value }))
      } catch (error) {
        if (!isUnwritable(error)) throw error
      }
    },
  }
}

function readAll(file: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
