/** What Cairn asks of Git. All calls spawn `git`; objects are read through one `cat-file --batch`. Close it when done. */
export interface Git {
  /** The work tree's root, absolute. */
  root: string
  head(): string | undefined
  /** undefined when detached or unborn. */
  branch(): string | undefined
  branches(): string[]
  /** In version order (0.9 before 0.10), the order of metrics tables. */
  tags(): string[]
  /** @throws CairnError FAILED `unknown Git revision 'x'` */
  resolve(rev: string): string
  /** Bytes of a file at a revision; undefined when it is not there. `path` is relative to Git's root. */
  read(rev: string, path: string): Promise<Buffer | undefined>
  /** Paths of files at a revision, relative to Git's root. */
  list(rev: string): Promise<string[]>
  /** Absolute paths. */
  isIgnored(path: string): boolean
  isTracked(path: string): boolean
  stage(paths: readonly string[]): void
  close(): Promise<void>
}
