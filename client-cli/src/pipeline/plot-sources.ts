import path from 'node:path/posix'
import { parseDelimited } from './metric-value.ts'
import { type Failure, type Naming, readContent, textOf } from './read-content.ts'
import type { RevisionContent } from './revision-content.ts'

/** One record of a plot's file: field to value. */
export type Point = Map<string, unknown>

/** A file's content: an image's bytes, or what its text says. */
export type PlotSource = { bytes: Buffer } | { data: unknown } | { error: Failure }

const IMAGES = new Set(['.jpg', '.jpeg', '.gif', '.png', '.svg'])
const TABLES = new Set(['.csv', '.tsv'])
const STRUCTURES = new Set(['.json', '.yaml', '.yml', '.toml', '.py'])

export const isImage = (file: string): boolean => IMAGES.has(path.extname(file))

/** Reads a root-relative file by its suffix; `header: false` names the columns of a table by their numbers. */
export async function readPlotSource(
  content: RevisionContent,
  file: string,
  { header, name }: { header: boolean; name: Naming },
): Promise<PlotSource> {
  const suffix = path.extname(file)
  if (STRUCTURES.has(suffix)) return readContent(content, file, name)
  if (!IMAGES.has(suffix) && !TABLES.has(suffix)) {
    const msg = `'${name(file)}' - file type error\nOnly JSON, YAML, CSV and TSV formats are supported.`
    return { error: { type: 'PlotMetricTypeError', msg } }
  }
  const found = await content.read(file)
  if (IMAGES.has(suffix) && 'bytes' in found) return found
  const read = textOf(found, file, name)
  return 'error' in read ? read : { data: tablePoints(read.text, suffix === '.tsv' ? '\t' : ',', header) }
}

function tablePoints(text: string, delimiter: ',' | '\t', header: boolean): Point[] {
  const rows = parseDelimited(text, delimiter)
  const fields = header ? (rows.shift() ?? []) : (rows[0]?.map((_cell, at) => String(at)) ?? [])
  return rows.map((row) => {
    const point: Point = new Map(fields.map((field, at) => [field, row[at] ?? null]))
    return row.length > fields.length ? point.set('null', row.slice(fields.length)) : point
  })
}
