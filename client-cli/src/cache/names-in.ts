import { readdirSync } from 'node:fs'
import { isCode } from '@cairn/protocol/error'

/** What a folder holds; nothing when there is no such folder. */
export function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir)
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}
