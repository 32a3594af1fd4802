import { createHash } from 'node:crypto'
import { type Digest, isDigest, isLegacy, isTree, makeDigest, md5Of, parseDigest } from '@cairn/protocol/digest'
import { serializeTree, type TreeEntry } from '@cairn/protocol/tree'
import { type Field, type FieldReader, isNull } from './field-reader.ts'
import type { Recorded } from './stage.ts'
import type { YamlValue } from './yaml-text.ts'

/** The keys that say where an entry is and what it held, in every file that has entries. */
export const CONTENT_KEYS: readonly string[] = [
  ...['path', 'md5', 'etag', 'checksum', 'size', 'nfiles', 'isexec'],
  ...['version_id', 'cloud', 'hash', 'files'],
]

/** Fields of an entry that nobody has read, by name. */
export type Rest = Map<string, Field>

const MD5 = /^[0-9a-fA-F]{32}(\.dir)?$/

/**
 * What an entry recorded: md5 with `hash: md5` is a digest, without it a legacy one. Takes what it reads out of `rest`.
 * A digest list (`files`, of versioned remotes) is read as the tree that it stands for.
 */
export function takeRecorded(rest: Rest, reader: FieldReader): Recorded | undefined {
  const hash = rest.get('hash')
  const algorithm = reader.text(hash)
  if (hash && algorithm !== undefined && algorithm !== 'md5' && algorithm !== 'md5-dos2unix')
    throw reader.fail(`unknown hash '${algorithm}'`, hash)
  const legacy = algorithm !== 'md5'
  const files = rest.get('files')
  const digest = takeDigest(rest.get('md5'), legacy, reader) ?? (files && digestOfFiles(reader.plain(files)))
  const size = reader.count(rest.get('size'))
  const nfiles = reader.count(rest.get('nfiles'))
  const isexec = reader.flag(rest.get('isexec'))
  if (digest === undefined) return undefined
  for (const key of ['md5', 'size', 'nfiles', 'isexec', 'hash']) rest.delete(key)
  return {
    digest,
    ...(size !== undefined && { size }),
    ...(nfiles !== undefined && { nfiles }),
    ...(isexec === true && { isexec }),
  }
}

function takeDigest(field: Field | undefined, legacy: boolean, reader: FieldReader): Digest | undefined {
  if (field === undefined || isNull(field)) return undefined
  const { node } = field
  // A digest of digits alone is a number to YAML when nobody quoted it.
  const text = node.kind === 'scalar' ? node.source : ''
  if (node.kind === 'scalar' && text === '') return undefined
  if (!MD5.test(text)) throw reader.fail('expected an md5 of 32 hex digits', field)
  const lower = text.toLowerCase()
  return makeDigest(lower.slice(0, 32), { tree: lower.endsWith('.dir'), legacy })
}

/** The tree that a `files` list stands for; undefined unless every row has a relpath and an md5. */
export function digestOfFiles(files: unknown): Digest | undefined {
  if (!Array.isArray(files)) return undefined
  const entries: TreeEntry[] = []
  for (const row of files as unknown[]) {
    if (typeof row !== 'object' || row === null || !('md5' in row) || !('relpath' in row)) return undefined
    const { md5, relpath } = row
    if (typeof md5 !== 'string' || typeof relpath !== 'string' || !isDigest(md5)) return undefined
    entries.push({ path: relpath, digest: md5 })
  }
  return parseDigest(`${createHash('md5').update(serializeTree(entries)).digest('hex')}.dir`)
}

/** What is left of an entry, as plain values; undefined when nothing is. */
export function restOf(rest: Rest, reader: FieldReader): Record<string, unknown> | undefined {
  if (rest.size === 0) return undefined
  return Object.fromEntries([...rest].map(([name, field]) => [name, reader.plain(field)]))
}

/** The value of `md5:`. */
export const digestText = (digest: Digest): string => `${md5Of(digest)}${isTree(digest) ? '.dir' : ''}`

/**
 * The keys that record an entry's content, in the order of `.dvc` files. A tree that was read from `files` has no keys of its
 * own as long as it is the same tree.
 */
export function recordedEntries(recorded: Recorded | undefined, files?: unknown): Map<string, YamlValue> {
  const entries = new Map<string, YamlValue>()
  if (!recorded) return entries
  if (files === undefined || digestOfFiles(files) !== recorded.digest) {
    entries.set('md5', digestText(recorded.digest))
    if (recorded.size !== undefined) entries.set('size', recorded.size)
    if (recorded.nfiles !== undefined) entries.set('nfiles', recorded.nfiles)
  }
  if (recorded.isexec) entries.set('isexec', true)
  if (!isLegacy(recorded.digest)) entries.set('hash', 'md5')
  return entries
}
