import { readFileSync } from 'node:fs'
import path from 'node:path'
import { type Digest, isLegacy, isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import type { TreeEntry } from '@cairn/protocol/tree'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { Context } from '../command.ts'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { parseStageFile, serializeStageFile } from '../pipeline/stage-file.ts'
import { stageMd5 } from '../pipeline/stage-md5.ts'
import type { Recorded, Stage } from '../pipeline/stage.ts'
import { openRemote } from '../remote/open.ts'
import type { Repo } from '../repo/repo.ts'
import { readEntries } from '../transfer/expand.ts'
import { mergeTrees } from '../transfer/merge-trees.ts'
import { withStages } from './session.ts'
import { openCache } from './transfer.ts'

interface Version {
  text: string
  stage: Stage
  recorded: Recorded | undefined
}

/** Merges their version of a .dvc file into ours, which is replaced. @throws CairnError FAILED when people have to decide */
export function mergeFiles(context: Context, files: { ancestor: string; our: string; their: string }): Promise<void> {
  return withStages(context, async ({ repo }) => {
    const read = (file: string) => readVersion(path.resolve(context.cwd, file))
    const [base, ours, theirs] = [read(files.ancestor), read(files.our), read(files.their)]
    const merged = await merge(repo, context, { base, ours, theirs })
    writeFileAtomic(path.resolve(context.cwd, files.our), merged)
  })
}

function readVersion(file: string): Version {
  const text = readFileSync(file, 'utf8')
  // The file's own name is Git's, and says nothing.
  const stage = parseStageFile(text, 'merged.dvc')
  if (stage.outs.length > 1) throw cannot('unable to auto-merge DVC files with more than one output')
  return { text, stage, recorded: stage.outs[0]?.recorded }
}

const cannot = (what: string): CairnError => new CairnError('FAILED', what)

async function merge(repo: Repo, context: Context, versions: { base: Version; ours: Version; theirs: Version }): Promise<string> {
  const { base, ours, theirs } = versions
  if (ours.text === theirs.text || theirs.text === base.text) return ours.text
  if (ours.text === base.text) return theirs.text
  const frame = mergeFrames(base, ours, theirs)
  const [before, mine, other] = [base, ours, theirs].map(({ recorded }) => recorded?.digest)
  if (mine === other || other === before) return withRecord(frame, ours.recorded)
  if (mine === before) return withRecord(frame, theirs.recorded)
  if (mine === undefined || other === undefined || !isTree(mine) || !isTree(other) || (before !== undefined && !isTree(before)))
    throw cannot('unable to auto-merge outputs that are not directories')
  if (isLegacy(mine) !== isLegacy(other) || (before !== undefined && isLegacy(before) !== isLegacy(mine)))
    throw cannot('unable to auto-merge outputs with different hash types')
  const cache = openCache(repo)
  try {
    await bringTrees(repo, context, cache, [before, mine, other])
    const { entries, conflicts } = mergeTrees(entriesOf(cache, before), entriesOf(cache, mine), entriesOf(cache, other))
    if (conflicts.length > 0) throw cannot(`unable to auto-merge the following paths:\n${conflicts.join('\n')}`)
    return withRecord(frame, recordOf(cache, entries, isLegacy(mine)))
  } finally {
    cache.close()
  }
}

/** Everything but the recorded content comes from the side that changed it. */
function mergeFrames(base: Version, ours: Version, theirs: Version): Version {
  const [before, mine, other] = [base, ours, theirs].map(({ stage }) => frameOf(stage))
  if (mine === other || other === before || base.stage.outs.length === 0) {
    if (mine !== other && base.stage.outs.length === 0)
      throw cannot('unable to auto-merge DVC files that were added with different fields')
    return ours
  }
  if (mine === before) return theirs
  throw cannot('unable to auto-merge DVC files with differing fields')
}

const frameOf = ({ md5: _md5, outs, ...stage }: Stage): string =>
  JSON.stringify({ ...stage, outs: outs.map(({ recorded: _recorded, ...out }) => out) })

function withRecord({ stage, text }: Version, recorded: Recorded | undefined): string {
  const after: Stage = {
    ...stage,
    outs: stage.outs.map(({ recorded: _recorded, ...out }) => ({ ...out, ...(recorded && { recorded }) })),
  }
  return serializeStageFile(after.md5 === undefined ? after : { ...after, md5: stageMd5(after) }, text)
}

function entriesOf(cache: ObjectCache, tree: Digest | undefined): readonly TreeEntry[] {
  if (tree === undefined) return []
  const entries = readEntries(cache, tree)
  if (entries !== undefined) return entries
  throw new CairnError('CACHE_MISSING', `the list of the folder (${tree}) is neither in the cache nor on the remote`, {
    hint: "Bring both versions with 'cairn fetch -a', then merge again.",
  })
}

async function bringTrees(
  repo: Repo,
  context: Context,
  cache: ObjectCache,
  trees: ReadonlyArray<Digest | undefined>,
): Promise<void> {
  const missing = cache.missing(trees.filter((tree) => tree !== undefined))
  if (missing.length === 0 || repo.config.get('core', 'remote') === undefined) return
  const remote = await openRemote(repo, undefined, context, cache)
  try {
    await remote.fetch(missing, cache, context)
  } finally {
    await remote.close()
  }
}

/** Without a size when a file of the other side has not been fetched yet: the next commit fills it in. */
function recordOf(cache: ObjectCache, entries: readonly TreeEntry[], legacy: boolean): Recorded {
  const sizes = entries.map((entry) => cache.soundStat(entry.digest)?.size)
  const size = sizes.includes(undefined) ? undefined : sizes.reduce<number>((sum, each) => sum + (each ?? 0), 0)
  return { digest: cache.storeTree(entries, { legacy }), ...(size !== undefined && { size }), nfiles: entries.length }
}
