/** One line of JSON as dvc prints it: blanks after `,` and `:`, everything beyond ASCII escaped. `indent` for people. */
export function formatJson(value: unknown, options: { indent?: number } = {}): string {
  return render(value, options.indent ?? 0, 0) ?? 'null'
}

function render(value: unknown, indent: number, depth: number): string | undefined {
  if (value === undefined || typeof value === 'function') return undefined
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number' && !Number.isFinite(value))
    return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
  if (typeof value !== 'object' || value === null) return ascii(JSON.stringify(value))
  const parts = Array.isArray(value)
    ? value.map((part) => render(part, indent, depth + 1) ?? 'null')
    : Object.entries(value).flatMap(([key, part]) => {
        const text = render(part, indent, depth + 1)
        return text === undefined ? [] : [`${ascii(JSON.stringify(key))}: ${text}`]
      })
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}']
  if (indent === 0 || parts.length === 0) return open + parts.join(', ') + close
  const pad = ' '.repeat(indent * (depth + 1))
  return `${open}\n${parts.map((part) => pad + part).join(',\n')}\n${' '.repeat(indent * depth)}${close}`
}

function ascii(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
