import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { Script } from 'node:vm'

type Cli = typeof import('./run-cairn.ts')

/**
 * Loads the bundled CLI. `file` holds one function around a CommonJS module; the file `<file>.cache` beside it, made by the
 * build, spares V8 the compilation. V8 itself refuses a cache of another version of Node or with other flags, and compiles.
 */
export function loadBundle(file: string): Cli {
  const source = readFileSync(file, 'latin1')
  const script = new Script(source, { filename: file, cachedData: readCache(`${file}.cache`) })
  const loaded = { exports: {} }
  const run = script.runInThisContext() as (...names: unknown[]) => void
  run(loaded.exports, createRequire(file), loaded, file, path.dirname(file))
  return loaded.exports as Cli
}

function readCache(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    // Slower, and otherwise the same.
    return undefined
  }
}
