/** Why a command that reads revisions cannot do so here, in dvc's words. */
export const NO_GIT =
  "Only supported for Git repositories. If you're seeing this error in a Git repo, try updating the DVC configuration with `cairn config core.no_scm false`."
