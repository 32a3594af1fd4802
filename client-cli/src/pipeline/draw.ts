import { layOut, type Drawn } from './layout.ts'
import type { Picture } from './picture.ts'

/** Boxes and lines for a terminal, one pipeline below the other. Ends without a line end. */
export function drawAscii(pictures: readonly Picture[]): string {
  return pictures.map(drawOne).join('\n\n')
}

function drawOne(picture: Picture): string {
  const { boxes, lines, width, height } = layOut(picture)
  const canvas = Array.from({ length: height }, () => Array<string>(width).fill(' '))
  const put = (x: number, y: number, text: string) => {
    const row = canvas[y]
    if (row) Array.from(text).forEach((character, index) => (row[x + index] = character))
  }
  for (const line of lines) drawLine(line, put)
  for (const box of boxes) drawBox(box, put)
  return canvas.map((row) => row.join('').trimEnd()).join('\n')
}

type Put = (x: number, y: number, text: string) => void

function drawBox({ x, y, label, width }: Drawn['boxes'][number], put: Put): void {
  const edge = `+${'-'.repeat(width - 2)}+`
  put(x, y, edge)
  put(x, y + 1, `| ${label} |`)
  put(x, y + 2, edge)
}

/** Each row takes a stretch of the line, so that a flat one shows as `****` and not as far apart dots. */
function drawLine({ from, to }: Drawn['lines'][number], put: Put): void {
  const rows = to.y - from.y
  const at = (row: number) => Math.round(from.x + ((to.x - from.x) * row) / Math.max(1, rows))
  for (let row = 0; row <= rows; row++) {
    const [start, end] = [at(Math.max(0, row - 0.25)), at(Math.min(rows, row + 0.25))].toSorted((a, b) => a - b)
    if (start !== undefined && end !== undefined) put(start, from.y + row, '*'.repeat(end - start + 1))
  }
}

export function drawDot(pictures: readonly Picture[]): string {
  const nodes = pictures.flatMap(({ labels }) => labels.map((label) => `${quoted(label)};\n`))
  const edges = pictures.flatMap(({ labels, arrows }) =>
    arrows.map(([from, to]) => `${quoted(labels[from] ?? '')} -> ${quoted(labels[to] ?? '')};\n`),
  )
  return `strict digraph {\n${nodes.join('')}${edges.join('')}}\n\n`
}

const quoted = (label: string): string => `"${label.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

/** Boxes sorted by their text within a pipeline, numbered over all of them. */
export function drawMermaid(pictures: readonly Picture[]): string {
  let text = 'flowchart TD'
  let count = 0
  for (const { labels, arrows } of pictures) {
    const sorted = labels
      .map((label, index) => ({ label, index }))
      .toSorted((a, b) => (a.label < b.label ? -1 : a.label > b.label ? 1 : a.index - b.index))
    const numbers = new Map(sorted.map(({ index }, place) => [index, count + place + 1]))
    for (const { label, index } of sorted) text += `\n\tnode${numbers.get(index)}["${label.replaceAll('"', '#quot;')}"]`
    const numbered = arrows.map(([from, to]) => [numbers.get(from) ?? 0, numbers.get(to) ?? 0] as const)
    for (const [from, to] of numbered.toSorted((a, b) => a[0] - b[0] || a[1] - b[1])) text += `\n\tnode${from}-->node${to}`
    count += labels.length
  }
  return text
}
