/** The text files of a repository, in the working copy or at a Git revision, read without a checkout. */
export interface FileTree {
  /** `workspace`, or the name the person used: a tag, a branch, a sha. */
  rev: string
  /** Root-relative path. undefined when it is not there. */
  read(path: string): Promise<Buffer | undefined>
  /** Root-relative paths of every `dvc.yaml`, `dvc.lock`, `*.dvc` and `Dvcfile`, sorted, ignored folders and nested repositories left out. */
  stageFiles(): Promise<string[]>
}
