export type TableFormat = 'plain' | 'markdown' | 'csv'

/**
 * A table as dvc prints it: columns two blanks apart, or GitHub's Markdown with the empty line that ends it, or CSV with the
 * line ends of RFC 4180. '' for a plain table without rows.
 */
export function tableText(header: readonly string[], rows: ReadonlyArray<readonly string[]>, format: TableFormat): string {
  if (format === 'csv') return [header, ...rows].map((row) => `${row.map(csvCell).join(',')}\r\n`).join('')
  if (format === 'markdown') return markdown(header, rows)
  return rows.length === 0 ? '' : plain(header, rows)
}

/** The format that `--md` or `--csv` asks for. */
export const tableFormat = (options: Readonly<Record<string, unknown>>): TableFormat =>
  options['md'] === true ? 'markdown' : options['csv'] === true ? 'csv' : 'plain'

/** A header has at least two blanks after it inside of its column. */
function plain(header: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const widths = widthsOf(header, rows)
  return [header, ...rows]
    .map((row) =>
      row
        .map((cell, at) => padded(cell, widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

function markdown(header: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const widths = widthsOf(header, rows)
  const line = (row: readonly string[]) => `| ${row.map((cell, at) => padded(cell, widths[at] ?? 0)).join(' | ')} |`
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`
  return [line(header), rule, ...rows.map(line)].join('\n') + '\n\n'
}

const widthsOf = (header: readonly string[], rows: ReadonlyArray<readonly string[]>): number[] =>
  header.map((name, at) => Math.max(lengthOf(name) + 2, ...rows.map((row) => lengthOf(row[at] ?? ''))))

/** Letters, not UTF-16 units. */
const lengthOf = (text: string): number => [...text].length

const padded = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - lengthOf(text)))

const csvCell = (cell: string): string => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)
