import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { isCode } from '@cairn/protocol/error'
import { type RunName, runOfPath, runPath } from '@cairn/protocol/run-name'
import { writeFileAtomic } from '../io/atomic-write.ts'

/** The run cache's entries in a folder of dvc's layout: a cache, or a remote. */
export interface RunFiles {
  /** In their order; nothing else that lies there is named. */
  list(): RunName[]
  /** undefined when there is none. */
  read(name: RunName): Buffer | undefined
  store(name: RunName, entry: Uint8Array): void
}

export function openRunFiles(dir: string): RunFiles {
  return {
    list: () =>
      namesIn(path.join(dir, 'runs')).flatMap((shard) =>
        namesIn(path.join(dir, 'runs', shard)).flatMap((key) =>
          namesIn(path.join(dir, 'runs', shard, key)).flatMap((value) => runOfPath(`runs/${shard}/${key}/${value}`) ?? []),
        ),
      ),
    read(name) {
      try {
        return readFileSync(path.join(dir, runPath(name)))
      } catch (error) {
        if (isCode(error, 'ENOENT')) return undefined
        throw error
      }
    },
    store(name, entry) {
      const file = path.join(dir, runPath(name))
      mkdirSync(path.dirname(file), { recursive: true })
      writeFileAtomic(file, entry)
    },
  }
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir).toSorted()
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}
