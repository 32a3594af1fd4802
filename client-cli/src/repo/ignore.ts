/** `.dvcignore`: which paths DVC does not see. */
export interface Ignore {
  /** Root-relative path with `/`. A path below an ignored folder is ignored. Built in: `.git`, `.hg`, `.dvc`. */
  ignores(path: string, isDirectory: boolean): boolean
}
