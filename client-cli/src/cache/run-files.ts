import { readFileSync } from 'node:fs'
import path from 'node:path'
import { isCode } from '@cairn/protocol/error'
import { type RunName, runOfPath, runPath } from '@cairn/protocol/run-name'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { makeFolders } from '../io/make-folders.ts'
import { namesIn } from './names-in.ts'

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
      inOrder(path.join(dir, 'runs')).flatMap((shard) =>
        inOrder(path.join(dir, 'runs', shard)).flatMap((key) =>
          inOrder(path.join(dir, 'runs', shard, key)).flatMap((value) => runOfPath(`runs/${shard}/${key}/${value}`) ?? []),
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
      makeFolders(path.dirname(file))
      writeFileAtomic(file, entry)
    },
  }
}

const inOrder = (dir: string): string[] => namesIn(dir).toSorted()
