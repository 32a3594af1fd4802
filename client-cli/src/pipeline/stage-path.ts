import path from 'node:path/posix'
import type { Field, FieldReader } from './field-reader.ts'

/** `s3://…`, `https://…`, `remote://…`. */
export const isUrl = (text: string): boolean => /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(text)

/** True for a path that does not lie inside of the repository: absolute, or climbing out of its root. */
export const isExternal = (location: string): boolean =>
  path.isAbsolute(location) || location === '..' || location.startsWith('../') || isUrl(location)

/** True for the folder itself too. `''`, the root, is not taken for a folder that everything is in. */
export const isAtOrBelow = (file: string, folder: string): boolean => file === folder || file.startsWith(`${folder}/`)

/** True when the paths are the same, or one lies inside of the other. */
export const overlaps = (one: string, other: string): boolean => isAtOrBelow(one, other) || isAtOrBelow(other, one)

/** The folder of a root-relative file; '' is the root. */
export function folderOf(file: string): string {
  const folder = path.dirname(file)
  return folder === '.' ? '' : folder
}

/**
 * A path as written in a file, made root-relative: `../x` below `sub` is `x`. One that climbs out of the root keeps its
 * leading `..`; absolute paths and urls stay as they are.
 */
export function locate(wdir: string, def: string): string {
  if (isUrl(def) || path.isAbsolute(def)) return def
  const joined = path.normalize(path.join(wdir, def)).replace(/\/+$/, '')
  return joined === '.' ? '' : joined
}

/** A root-relative path as seen from `wdir`: the inverse of `locate`. */
export function relativeTo(wdir: string, location: string): string {
  if (isUrl(location) || path.isAbsolute(location)) return location
  return path.relative(`/${wdir}`, `/${location}`) || '.'
}

/** The path of an output, which must lie inside of the repository and outside of Git's and DVC's own folders. */
export function locateOut(wdir: string, def: string, field: Field, reader: FieldReader): string {
  const location = locate(wdir, def)
  if (location === '') throw reader.fail(`the output '${def}' is the repository itself`, field)
  if (isExternal(location)) throw reader.fail(`the output '${def}' is outside of the repository`, field)
  refuseUnsafe(location, def, field, reader)
  return location
}

export function locateDep(wdir: string, def: string, field: Field, reader: FieldReader): string {
  const location = locate(wdir, def)
  if (location.includes('\0')) throw reader.fail('the path holds a NUL byte', field)
  return location
}

function refuseUnsafe(location: string, def: string, field: Field, reader: FieldReader): void {
  if (location.includes('\0')) throw reader.fail('the path holds a NUL byte', field)
  if (location.split('/').some((segment) => /^\.(?:git|dvc)$/i.test(segment))) {
    throw reader.fail(`the output '${def}' is inside of a folder that Git or DVC keeps for itself`, field)
  }
}
