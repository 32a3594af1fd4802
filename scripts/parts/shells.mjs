// The shells beside bash that completion is for. Where they cannot be installed, their tests are skipped.
import { aptInstall, which } from './service.mjs'

export function installShells() {
  const absent = ['zsh', 'fish'].filter((shell) => !which(shell))
  if (absent.length > 0) aptInstall(...absent)
}
