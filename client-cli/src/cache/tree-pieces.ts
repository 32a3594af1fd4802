import { asciiJson, compareCodePoints } from '@cairn/protocol/tree'

/** The files of a folder, by number. */
export interface TreeRows {
  readonly count: number
  path(row: number): string
  /** 32 hex digits. */
  md5(row: number): string
}

const PIECE_CHARS = 64 * 1024
const PLAIN = /^[ !#-[\]-~]*$/

/** The bytes of `serializeTree`, piece by piece and straight from the rows: a million files' listing is never in memory whole. */
export function* treePieces(rows: TreeRows): Generator<Buffer> {
  const order = orderOf(rows)
  let text = '['
  for (let place = 0; place < rows.count; place++) {
    const row = order?.[place] ?? place
    const path = rows.path(row)
    text += `${place === 0 ? '' : ', '}{"md5": "${rows.md5(row)}", "relpath": ${PLAIN.test(path) ? `"${path}"` : asciiJson(path)}}`
    if (text.length < PIECE_CHARS) continue
    yield Buffer.from(text, 'latin1')
    text = ''
  }
  yield Buffer.from(`${text}]`, 'latin1')
}

/** undefined when the rows are in order already. A walk goes folder by folder, which is not always the order of the paths. */
function orderOf(rows: TreeRows): Uint32Array | undefined {
  let row = 1
  while (row < rows.count && compareCodePoints(rows.path(row - 1), rows.path(row)) <= 0) row++
  if (row >= rows.count) return undefined
  return Uint32Array.from({ length: rows.count }, (_, at) => at).sort((a, b) => compareCodePoints(rows.path(a), rows.path(b)))
}
