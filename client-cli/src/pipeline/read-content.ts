import path from 'node:path/posix'
import { parse as parseToml, TomlError } from 'smol-toml'
import { CairnError } from '@cairn/protocol/error'
import { parseJson } from './json-value.ts'
import { parsePythonSource } from './python-source.ts'
import { float, int } from './python-value.ts'
import type { Found, RevisionContent } from './revision-content.ts'
import { readYaml, valueOf } from './yaml-read.ts'

/** Why something could not be read, in the words of dvc's JSON. */
export interface Failure {
  type: string
  msg: string
}

/** A file's parsed content, or why there is none. Mappings are a `Map`, in their order. */
export type Content = { data: unknown } | { error: Failure }

/** How messages name a root-relative path. */
export type Naming = (path: string) => string

/** The text of what was found. */
export function textOf(found: Found, file: string, name: Naming): { text: string } | { error: Failure } {
  if ('absent' in found) return { error: absence(found.absent, file) }
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(found.bytes) }
  } catch {
    return { error: { type: 'EncodingError', msg: `unable to read: '${name(file)}', is not valid utf-8` } }
  }
}

/** dvc names a missing file by its path from the root, whatever the folder. */
function absence(absent: 'file' | 'object', file: string): Failure {
  const what = absent === 'file' ? 'No such file or directory' : 'No storage files available'
  return { type: 'FileNotFoundError', msg: `[Errno 2] ${what}: '${file}'` }
}

/** Parses a file by its suffix: JSON, TOML, Python, else YAML. */
export async function readContent(source: Pick<RevisionContent, 'read'>, file: string, name: Naming): Promise<Content> {
  const found = textOf(await source.read(file), file, name)
  if ('error' in found) return found
  try {
    return { data: parseContent(found.text, file) }
  } catch (error) {
    if (!(error instanceof CairnError) && !(error instanceof SyntaxError) && !(error instanceof TomlError)) throw error
    const kind = kindOf(file)
    const type = `${kind}FileCorruptedError`
    return { error: { type, msg: `unable to read: '${name(file)}', ${kind} file structure is corrupted` } }
  }
}

type Kind = 'JSON' | 'TOML' | 'Python' | 'YAML'

const KINDS = new Map<string, Kind>([
  ['.json', 'JSON'],
  ['.toml', 'TOML'],
  ['.py', 'Python'],
])

const kindOf = (file: string): Kind => KINDS.get(path.extname(file).toLowerCase()) ?? 'YAML'

/** @throws CairnError, SyntaxError or TomlError when the text is not of the file's kind */
export function parseContent(text: string, file: string): unknown {
  switch (kindOf(file)) {
    case 'JSON':
      return parseJson(text)
    case 'Python':
      return parsePythonSource(text)
    case 'TOML':
      return fromToml(parseToml(text, { integersAsBigInt: true }))
    default: {
      const node = readYaml(text, file)
      return node === undefined ? new Map() : valueOf(node)
    }
  }
}

function fromToml(value: unknown): unknown {
  if (typeof value === 'bigint') return int(value.toString())
  if (typeof value === 'number') return float(value)
  if (value instanceof Date) return value.toISOString()
  if (Array.isArray(value)) return value.map(fromToml)
  if (typeof value !== 'object' || value === null) return value
  return new Map(Object.entries(value).map(([key, each]) => [key, fromToml(each)]))
}
