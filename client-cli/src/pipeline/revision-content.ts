import { readdirSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { type Digest, isTree } from '@cairn/protocol/digest'
import { isCode } from '@cairn/protocol/error'
import type { ObjectCache } from '../cache/object-cache.ts'
import { type FileTree, gitPrefix, isStageFile } from '../repo/file-tree.ts'
import type { Repo } from '../repo/repo.ts'
import { loadPipelines, type Pipelines } from './load.ts'
import { isAtOrBelow } from './stage-path.ts'
import type { Out } from './stage.ts'

/** Bytes, or why there are none: no such file, or a tracked one whose object is not in the cache. */
export type Found = { bytes: Buffer } | { absent: 'file' | 'object' }

/** The files of one revision as a person sees them: what Git or the workspace has, and what is tracked and lies in the cache. */
export interface RevisionContent {
  rev: string
  pipelines: Pipelines
  /** Root-relative path. */
  read(path: string): Promise<Found>
  /** The files below a folder, sorted; a path that is no folder is itself, there or not. */
  expand(path: string): Promise<string[]>
}

/** Loads the revision's stage files. The cache is the caller's to close. @throws CairnError STAGE_FILE_INVALID */
export async function openContent(repo: Repo, tree: FileTree, cache: ObjectCache): Promise<RevisionContent> {
  const pipelines = await loadPipelines(tree)
  const tracked = pipelines.stages.flatMap((stage) => stage.outs.filter((out) => out.cache))
  let listed: Promise<string[]> | undefined
  const listRevision = () => (listed ??= listGit(repo, tree.rev))
  return {
    rev: tree.rev,
    pipelines,
    async read(location) {
      const bytes = await tree.read(location)
      return bytes ? { bytes } : readTracked(cache, tracked, location)
    },
    async expand(location) {
      const files = tree.rev === 'workspace' ? listFolder(repo, location) : await expandRevision(location)
      if (files) return files.toSorted()
      return expandTracked(cache, tracked, location) ?? [location]
    },
  }

  async function expandRevision(location: string): Promise<string[] | undefined> {
    const below = location === '' ? '' : `${location}/`
    const files = (await listRevision()).filter((file) => file.startsWith(below))
    return files.length > 0 ? files.filter(isContent) : undefined
  }
}

async function listGit({ git, root }: Repo, rev: string): Promise<string[]> {
  if (git === undefined) return []
  const prefix = gitPrefix({ root }, git)
  const files = await git.list(rev)
  return files.filter((file) => file.startsWith(prefix)).map((file) => file.slice(prefix.length))
}

/** undefined when it is no folder. Links to folders are not followed, ignored files and stage files left out. */
function listFolder({ root, ignore }: Repo, folder: string): string[] | undefined {
  if (statSync(path.join(root, folder), { throwIfNoEntry: false })?.isDirectory() !== true) return undefined
  const files: string[] = []
  const folders = [folder]
  for (let at = folders.pop(); at !== undefined; at = folders.pop()) {
    const isIgnored = ignore.within(at)
    for (const entry of readdirSync(path.join(root, at), { withFileTypes: true })) {
      if (isIgnored(entry.name, entry.isDirectory())) continue
      const file = at === '' ? entry.name : `${at}/${entry.name}`
      if (entry.isDirectory()) folders.push(file)
      else if (isContent(file)) files.push(file)
    }
  }
  return files
}

/** Not one of the files that say what is tracked. */
const isContent = (file: string): boolean => !isStageFile(file) && path.posix.basename(file) !== '.dvcignore'

const trackerOf = (tracked: readonly Out[], location: string): Out | undefined =>
  tracked.find((out) => isAtOrBelow(location, out.path))

function readTracked(cache: ObjectCache, tracked: readonly Out[], location: string): Found {
  const out = trackerOf(tracked, location)
  if (out?.recorded === undefined) return { absent: 'file' }
  return attempt(() => readCached(cache, out.recorded?.digest, location.slice(out.path.length + 1))) ?? { absent: 'object' }
}

function readCached(cache: ObjectCache, recorded: Digest | undefined, inside: string): Found | undefined {
  if (recorded === undefined) return undefined
  if (isTree(recorded)) {
    const entry = cache.readTree(recorded).find((each) => each.path === inside)
    return entry ? readCached(cache, entry.digest, '') : { absent: 'file' }
  }
  return cache.isSound(recorded) ? { bytes: readFileSync(cache.pathOf(recorded)) } : undefined
}

function expandTracked(cache: ObjectCache, tracked: readonly Out[], location: string): string[] | undefined {
  const out = trackerOf(tracked, location)
  const recorded = out?.recorded?.digest
  if (out === undefined || recorded === undefined || !isTree(recorded)) return undefined
  const inside = location.slice(out.path.length + 1)
  const entries = attempt(() => cache.readTree(recorded)) ?? []
  const files = entries.map((entry) => entry.path).filter((file) => inside === '' || file.startsWith(`${inside}/`))
  return files.length > 0 ? files.map((file) => `${out.path}/${file}`).toSorted() : undefined
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isCode(error, 'CACHE_MISSING', 'CACHE_DAMAGED', 'ENOENT')) return undefined
    throw error
  }
}
