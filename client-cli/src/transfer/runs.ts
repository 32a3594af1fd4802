import type { Digest } from '@cairn/protocol/digest'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { RunFiles } from '../cache/run-files.ts'
import type { Remote, TransferOptions } from '../remote/remote.ts'
import { pushOutputs } from './push.ts'

/** What the entries of a run cache speak of. */
export interface RunObjects {
  cache: ObjectCache
  /** Of an entry: what the run made. */
  madeBy(entry: Uint8Array): readonly Digest[]
}

/**
 * Sends what the remote lacks of the cache's run cache, and before it what these runs made, as far as the cache has it: an entry is
 * of use to who can have that. How many entries and objects went; undefined: that remote can have none.
 */
export async function pushRuns(
  remote: Remote,
  local: RunFiles,
  { cache, madeBy }: RunObjects,
  options: TransferOptions,
): Promise<number | undefined> {
  if (!remote.runs) return undefined
  const names = local.list()
  if (names.length === 0) return 0
  const there = await remote.runs.list(options)
  const wanted = names.filter((name) => !there.has(name))
  const made = new Set(
    wanted.flatMap((name) => madeBy(local.read(name) ?? new Uint8Array())).filter((digest) => cache.has(digest)),
  )
  const outputs = [...made].map((digest) => ({ path: digest, digest }))
  const { pushed } = outputs.length === 0 ? { pushed: 0 } : await pushOutputs({ remote, cache, outputs, options })
  await remote.runs.send(wanted, (name) => local.read(name), options)
  return wanted.length + pushed
}

/** Brings what the cache lacks of the remote's run cache; how many entries came. undefined: that remote can have none. */
export async function fetchRuns(remote: Remote, local: RunFiles, options: TransferOptions): Promise<number | undefined> {
  if (!remote.runs) return undefined
  const here = new Set(local.list())
  const wanted = [...(await remote.runs.list(options))].filter((name) => !here.has(name))
  await remote.runs.bring(wanted, (name, entry) => local.store(name, entry), options)
  return wanted.length
}
