import type { Digest } from '@cairn/protocol/digest'
import type { TreeEntry } from '@cairn/protocol/tree'

/** The content of a file or folder as it stands now. */
export interface Content {
  digest: Digest
  /** Bytes; for a directory the sum of its files. */
  size: number
  /** Directories only. */
  nfiles?: number
  /** Single files only; true or absent. */
  isexec?: true
  /** Directories only. */
  entries?: readonly TreeEntry[]
}

/** What a path of the workspace should hold. `digest` undefined: nothing may stand there. */
export interface Wanted {
  /** Root-relative. */
  path: string
  digest: Digest | undefined
  isexec?: boolean
  /** `stage`: a command writes it whole, so a hard link is safe by default; `data`: people edit it, so copy. */
  kind: 'stage' | 'data'
}

export interface CheckoutResult {
  /** Root-relative paths of outputs and of files inside them, folders with a trailing `/`. */
  added: string[]
  modified: string[]
  deleted: string[]
  /** Outputs that could not be checked out, with the digests the cache lacks; their workspace bytes were left alone. */
  failed: Array<{ path: string; missing: Digest[] }>
}
