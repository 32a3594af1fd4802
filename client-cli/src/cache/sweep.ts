import { lstatSync, rmSync } from 'node:fs'
import path from 'node:path'
import { type Digest, digestOfPath, isTree } from '@cairn/protocol/digest'
import { namesIn } from './names-in.ts'

/** An object that stands in a folder of dvc's layout. */
export interface StoredObject {
  digest: Digest
  /** Absolute. */
  file: string
  size: number
}

/** A folder of dvc's layout has one part for today's objects, and one for those of DVC 0.x–2.x. */
export type Part = 'today' | 'legacy'

/** Every object of one part, by name. Nothing else that lies there is named. */
export function* listObjects(dir: string, part: Part): Generator<StoredObject> {
  const prefix = part === 'today' ? 'files/md5/' : ''
  for (const shard of namesIn(path.join(dir, prefix))) {
    if (!/^[0-9a-f]{2}$/.test(shard)) continue
    for (const name of namesIn(path.join(dir, prefix, shard))) {
      const digest = digestOfPath(`${prefix}${shard}/${name}`)
      const file = path.join(dir, prefix, shard, name)
      const stat = digest === undefined ? undefined : lstatSync(file, { throwIfNoEntry: false })
      if (digest !== undefined && stat && !stat.isDirectory()) yield { digest, file, size: stat.size }
    }
  }
}

/** Trees before files: a tree that is there vouches for its files. */
export const treesFirst = (objects: readonly StoredObject[]): StoredObject[] =>
  objects.toSorted((a, b) => Number(isTree(b.digest)) - Number(isTree(a.digest)))

/** Deletes objects. One that has gone already is no failure. */
export function removeObjects(objects: readonly StoredObject[], signal: AbortSignal): void {
  for (const { file } of treesFirst(objects)) {
    signal.throwIfAborted()
    rmSync(file, { force: true })
    rmSync(`${file}.unpacked`, { recursive: true, force: true })
  }
}
