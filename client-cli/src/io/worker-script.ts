import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * The file that a worker thread runs: beside the bundle, beside a chunk of it, or the source itself beside the module whose url
 * is `near`; undefined in the single-file bundle, which has none.
 */
export function workerScript(name: string, near: string): string | undefined {
  const names = [`./${name}.mjs`, `../${name}.mjs`, `./${name}.ts`]
  return names.map((each) => fileURLToPath(new URL(each, near))).find((file) => existsSync(file))
}
