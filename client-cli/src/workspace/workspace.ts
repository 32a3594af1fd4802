import type { Digest } from '@cairn/protocol/digest'
import type { TreeEntry } from '@cairn/protocol/tree'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { TreeRows } from '../cache/tree-pieces.ts'
import type { Repo } from '../repo/repo.ts'

/** The content of a file or folder as it stands now. */
export interface Content {
  digest: Digest
  /** Bytes; for a directory the sum of its files. */
  size: number
  /** Directories only. */
  nfiles?: number
  /** Single files only; true or absent. */
  isexec?: true
  /** Directories only: its files by number. */
  rows?: TreeRows
  /** Directories only. Made when first asked for. */
  entries?: readonly TreeEntry[]
}

export interface ContentOptions {
  /** Digests of DVC 0.x–2.x. */
  legacy?: boolean | undefined
  /** What was recorded last: a hard link or symlink to that very object counts without being read. */
  previous?: Digest | undefined
}

export interface SaveOptions extends ContentOptions {
  kind: Wanted['kind']
  /** false: only looked at, as `contentOf`. */
  cache: boolean
  /** Whether the workspace's files become links of the configured type. Default true. */
  relink?: boolean
}

export interface CheckoutOptions {
  /** Overwrite and delete what is saved nowhere. */
  force: boolean
  /** Make the files anew that have the right bytes but the wrong kind of link. */
  relink: boolean
  /** What Cairn stored or placed earlier, is neither wanted nor in `keep`, and did not change since, is deleted. */
  removeStale: boolean
  /** Outputs that are not wanted and yet outputs: nothing is recorded for them, or Git keeps them. */
  keep?: readonly string[]
  /** What `expect` returned. */
  early?: EarlyFiles | undefined
}

/** The checked-out files. All paths are root-relative with `/`, or absolute for what lies outside of the repository. */
export interface Workspace {
  readonly repo: Repo
  readonly cache: ObjectCache
  /**
   * The content of a path now; undefined when nothing stands there. Nothing unchanged is read twice.
   * @throws CairnError COMMAND_FAILED for what cannot be content (broken links, pipes, names that are not UTF-8)
   */
  contentOf(path: string, options?: ContentOptions): Promise<Content | undefined>
  /**
   * Stores a path's content in the cache, and links the workspace to it. The workspace's bytes stay until their cached copy
   * is complete. @throws CairnError COMMAND_FAILED when nothing stands there, STORAGE_FULL, FAILED when it changes meanwhile
   */
  save(path: string, options: SaveOptions): Promise<Content>
  /**
   * Makes ready for objects that are on their way into the cache, and that a checkout of `wanted` will place. Trees that are
   * not in the cache yet are left to the checkout. Close what it returns, after the checkout.
   */
  expect(wanted: readonly Wanted[]): EarlyFiles
  /** @throws CairnError UNSAVED before anything was touched */
  checkout(wanted: readonly Wanted[], options: CheckoutOptions): Promise<CheckoutResult>
  /**
   * Deletes an output from the workspace, and its emptied parents. Without `force` only when every byte is in the cache.
   * False when nothing stood there. @throws CairnError UNSAVED
   */
  remove(path: string, options: { force: boolean; legacy?: boolean }): Promise<boolean>
  /** Replaces links by writable copies. @throws CairnError COMMAND_FAILED when nothing stands there */
  unprotect(path: string): Promise<void>
  /** The path is no longer an output: a later checkout leaves it alone. */
  forget(path: string): void
  /** Writes out what was learnt. May be called twice. */
  close(): void
}

/** What a path of the workspace should hold. `digest` undefined: nothing may stand there. */
export interface Wanted {
  /** Root-relative. */
  path: string
  digest: Digest | undefined
  isexec?: boolean | undefined
  /** Without a digest: in which namespace the cache is asked whether what stands there is saved. */
  legacy?: boolean | undefined
  /** A file or folder inside of the output: only that is checked out. */
  inside?: string | undefined
  /** Which links are taken when none are configured. `stage`: a hard link is safe; `data`: a copy. */
  kind: 'stage' | 'data'
}

/**
 * Files of folders that a checkout is going to place, written while their objects arrive: their bytes are at hand then, and
 * need not be read again. They stand in a draft; only the checkout gives it the folder's name, after its own checks.
 */
export interface EarlyFiles {
  /** Writes the files that hold this object. The caller has verified its bytes. Whatever fails here is left to the checkout. */
  place(digest: Digest, bytes: Uint8Array): void
  /** The draft of a folder with that content, handed over to the caller. */
  take(root: string, digest: Digest): EarlyFolder | undefined
  /** Removes what was not taken. */
  close(): void
}

export interface EarlyFolder {
  /** Absolute. */
  draft: string
  /** The objects whose files are all there. */
  placed: ReadonlySet<Digest>
}

export interface FileCounts {
  added: number
  modified: number
  deleted: number
}

export interface CheckoutResult {
  /**
   * Files, each by itself; as in dvc, a folder that goes from inside of an output is one more, and an output that is none any more
   * is one, whatever is in it.
   */
  files: FileCounts
  /** Root-relative paths of the outputs that changed, each once; folders with a trailing `/`, and before files. */
  added: string[]
  modified: string[]
  deleted: string[]
  /** Outputs that could not be checked out, with the digests the cache lacks; their workspace bytes were left alone. */
  failed: Array<{ path: string; missing: Digest[] }>
}
