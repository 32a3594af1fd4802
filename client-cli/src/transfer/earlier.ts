import { type Digest, isTree } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import { fileOf } from '@cairn/protocol/tree'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { TransferOptions } from '../remote/remote.ts'
import type { Output } from './expand.ts'

type TreeCache = Pick<ObjectCache, 'has' | 'scanTree'>

export interface EarlierSource {
  outputs: readonly Output[]
  cache: TreeCache
  /** What was recorded at an output's path in earlier commits, newest first. */
  history: (output: Output) => Promise<readonly Digest[]>
}

const MOST_EARLIER = 8
/** Earlier trees that a file is looked up in. */
const MOST_TREES = 3
/** A file is looked for among no more than these: an index takes some 200 bytes for each. */
const MOST_INDEXED = 200_000

type Earlier = NonNullable<TransferOptions['earlier']>

/**
 * What stood earlier where an object stands now: at an output's path, or inside of a tracked folder at the same name in the
 * folder's earlier trees, as far as these are in the cache. Does nothing before the first question.
 */
export function createEarlier({ outputs, cache, history }: EarlierSource): Earlier {
  let places: Map<Digest, Place> | undefined
  const treeFiles = remember((tree: Digest) => readFiles(cache, tree))
  const atPath = async (output: Output): Promise<Digest[]> =>
    [...new Set(await history(output))].filter((digest) => digest !== output.digest).slice(0, MOST_EARLIER)

  return async (digest) => {
    const output = outputs.find((each) => each.digest === digest)
    if (output !== undefined) return atPath(output)
    places ??= indexFiles(outputs, cache)
    const place = places.get(digest)
    if (place === undefined) return []
    const trees = (await atPath(place.output)).filter((tree) => isTree(tree) && cache.has(tree)).slice(0, MOST_TREES)
    const files = trees.flatMap((tree) => treeFiles(tree)?.get(place.path) ?? [])
    return [...new Set(files)].filter((file) => file !== digest)
  }
}

interface Place {
  output: Output
  path: string
}

/** Where each file stands, of folders that are small enough together. */
function indexFiles(outputs: readonly Output[], cache: TreeCache): Map<Digest, Place> {
  const places = new Map<Digest, Place>()
  for (const output of outputs) {
    const files = isTree(output.digest) ? readFiles(cache, output.digest) : undefined
    for (const [path, file] of files ?? []) if (places.size < MOST_INDEXED) places.set(file, { output, path })
  }
  return places
}

function readFiles(cache: TreeCache, tree: Digest): Map<string, Digest> | undefined {
  const files = new Map<string, Digest>()
  try {
    cache.scanTree(tree, (entry) => {
      if (files.size < MOST_INDEXED) files.set(entry.path(), fileOf(tree, entry))
    })
    return files
  } catch (error) {
    if (isCode(error, 'CACHE_MISSING', 'CACHE_DAMAGED', 'BAD_TREE')) return undefined
    throw error
  }
}

function remember<K, V>(find: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>()
  return (key) => {
    if (!known.has(key)) known.set(key, find(key))
    return known.get(key) as V
  }
}
