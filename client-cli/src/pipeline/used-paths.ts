import { isLocal } from './observe.ts'
import type { Stage } from './stage.ts'

/** Root-relative. */
export interface UsedPaths {
  reads: readonly string[]
  writes: readonly string[]
}

/** What a run of the stage reads and writes. */
export const pathsOf = (stage: Stage): UsedPaths => ({
  reads: [...stage.deps.filter(isLocal), ...stage.params].map((dep) => dep.path),
  writes: stage.outs.map((out) => out.path),
})
