import type { RunFiles } from '../cache/run-files.ts'
import type { Remote, TransferOptions } from '../remote/remote.ts'

/** Sends what the remote lacks of the cache's run cache; how many entries went. undefined: that remote can have none. */
export async function pushRuns(remote: Remote, local: RunFiles, options: TransferOptions): Promise<number | undefined> {
  if (!remote.runs) return undefined
  const names = local.list()
  if (names.length === 0) return 0
  const there = await remote.runs.list(options)
  const wanted = names.filter((name) => !there.has(name))
  await remote.runs.send(wanted, (name) => local.read(name), options)
  return wanted.length
}

/** Brings what the cache lacks of the remote's run cache; how many entries came. undefined: that remote can have none. */
export async function fetchRuns(remote: Remote, local: RunFiles, options: TransferOptions): Promise<number | undefined> {
  if (!remote.runs) return undefined
  const here = new Set(local.list())
  const wanted = [...(await remote.runs.list(options))].filter((name) => !here.has(name))
  await remote.runs.bring(wanted, (name, entry) => local.store(name, entry), options)
  return wanted.length
}
