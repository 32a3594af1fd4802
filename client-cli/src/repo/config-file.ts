import { CairnError } from '@cairn/protocol/error'

/** One option as it stands in a file. */
export interface ConfigOption {
  value: string | string[]
  /** Its lines, from `first` up to and including `last`. */
  first: number
  last: number
}

export interface ConfigSection {
  /** Lower-case; `remote "name"` for a remote. */
  name: string
  header: number
  /** By lower-case key. */
  options: Map<string, ConfigOption>
}

/** A parsed config file in ConfigObj's dialect of INI, with the lines it came from so that an edit leaves the rest alone. */
export interface ConfigFile {
  lines: readonly string[]
  newline: '\n' | '\r\n'
  sections: Map<string, ConfigSection>
}

/** @throws CairnError CONFIG with the file's name and the line */
export function parseConfigFile(text: string, file: string): ConfigFile {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  if (lines.at(-1) === '') lines.pop()
  const sections = new Map<string, ConfigSection>()
  let section: ConfigSection | undefined
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? ''
    if (/^\s*(#|$)/.test(line)) continue
    const header = /^\s*\[(?!\[)\s*((?:"[^"]*")|(?:'[^']*')|[^'"\s](?:[^\]]*))\s*\]\s*(?:#.*)?$/.exec(line)?.[1]
    if (header !== undefined) {
      const name = sectionName(header)
      if (sections.has(name)) throw invalid(file, `Duplicate section name at line ${at + 1}.`)
      section = { name, header: at, options: new Map() }
      sections.set(name, section)
      continue
    }
    const option = /^\s*((?:"[^"]*")|(?:'[^']*')|[^'"=\s[](?:[^=]*?))\s*=\s*(.*)$/.exec(line)
    if (option === null)
      throw invalid(file, `Invalid line ('${line.trim()}') (matched as neither section nor keyword) at line ${at + 1}.`)
    const [, key = '', rest = ''] = option
    const parsed = parseValue(lines, at, rest)
    if (parsed === undefined) throw invalid(file, `Parse error in value at line ${at + 1}.`)
    const name = unquote(key).toLowerCase()
    if (section?.options.has(name)) throw invalid(file, `Duplicate keyword name at line ${at + 1}.`)
    section?.options.set(name, { value: parsed.value, first: at, last: parsed.last })
    at = parsed.last
  }
  return { lines, newline: /\r\n/.test(text) ? '\r\n' : '\n', sections }
}

/** The text with the option set: in its own line, or after the section's last one, or in a section at its place. */
export function setOption(file: ConfigFile, section: string, key: string, value: string): string {
  const quoted = quoteValue(value)
  const found = file.sections.get(section)
  const option = found?.options.get(key)
  const lines = [...file.lines]
  if (option) {
    const line = lines[option.first] ?? ''
    const start = /^\s*(?:"[^"]*"|'[^']*'|[^=]*?)\s*=\s*/.exec(line)?.[0] ?? `    ${key} = `
    const comment = option.first === option.last ? trailingComment(line.slice(start.length)) : ''
    lines.splice(option.first, option.last - option.first + 1, start + quoted + comment)
  } else if (found) {
    const last = [...found.options.values()].at(-1)
    const indent = last ? (/^\s*/.exec(lines[last.first] ?? '')?.[0] ?? '') : '    '
    lines.splice((last?.last ?? found.header) + 1, 0, `${indent}${key} = ${quoted}`)
  } else {
    lines.splice(placeOf(file, section), 0, header(section), `    ${key} = ${quoted}`)
  }
  return join(file, lines)
}

/** The text without the option; a section that it leaves without options and comments goes as well. */
export function unsetOption(file: ConfigFile, section: string, key: string): string {
  const found = file.sections.get(section)
  const option = found?.options.get(key)
  if (!found || !option) return join(file, file.lines)
  const end = endOf(file, found)
  const rest = file.lines
    .slice(found.header + 1, end)
    .filter((_, at) => at + found.header + 1 < option.first || at + found.header + 1 > option.last)
  if (rest.every((line) => line.trim() === '')) return removeSection(file, section)
  return join(file, [...file.lines.slice(0, option.first), ...file.lines.slice(option.last + 1)])
}

export function removeSection(file: ConfigFile, section: string): string {
  const found = file.sections.get(section)
  if (!found) return join(file, file.lines)
  return join(file, [...file.lines.slice(0, found.header), ...file.lines.slice(endOf(file, found))])
}

export function renameSection(file: ConfigFile, from: string, to: string): string {
  const found = file.sections.get(from)
  if (!found) return join(file, file.lines)
  const lines = [...file.lines]
  const comment = /\]\s*(#.*)$/.exec(lines[found.header] ?? '')?.[1]
  lines[found.header] = comment === undefined ? header(to) : `${header(to)} ${comment}`
  return join(file, lines)
}

/** Where a section's lines end; comments right above the next header belong to the next one. */
function endOf(file: ConfigFile, section: ConfigSection): number {
  const next = [...file.sections.values()].map((other) => other.header).filter((at) => at > section.header)
  if (next.length === 0) return file.lines.length
  let end = Math.min(...next)
  const last = Math.max(section.header, ...[...section.options.values()].map((option) => option.last))
  while (end - 1 > last && /^\s*#/.test(file.lines[end - 1] ?? '')) end--
  return end
}

/** dvc writes plain sections first, then remotes, machines and databases. */
function placeOf(file: ConfigFile, section: string): number {
  const later = [...file.sections.values()].filter((other) => rank(other.name) > rank(section))
  const first = later.length === 0 ? undefined : Math.min(...later.map((other) => other.header))
  if (first === undefined) return file.lines.length
  let at = first
  while (at > 0 && /^\s*#/.test(file.lines[at - 1] ?? '')) at--
  return at
}

function rank(section: string): number {
  return ['remote "', 'machine "', 'db "'].findIndex((start) => section.startsWith(start)) + 1
}

function header(section: string): string {
  return section.includes('"') ? `['${section}']` : `[${section}]`
}

function join(file: ConfigFile, lines: readonly string[]): string {
  return lines.map((line) => line + file.newline).join('')
}

function sectionName(header: string): string {
  const name = unquote(header.trim()).trim().toLowerCase()
  const group = /^(remote|machine|db)\s*"(.*)"$/.exec(name)
  return group ? `${group[1]} "${group[2]}"` : name
}

function unquote(text: string): string {
  return /^(["']).*\1$/.test(text) ? text.slice(1, -1) : text
}

function parseValue(lines: readonly string[], at: number, rest: string): { value: string | string[]; last: number } | undefined {
  const fence = rest.startsWith('"""') ? '"""' : rest.startsWith("'''") ? "'''" : undefined
  if (fence === undefined) {
    const value = parseInline(rest)
    return value === undefined ? undefined : { value, last: at }
  }
  let text = rest.slice(3)
  for (let last = at; ; text += `\n${lines[last] ?? ''}`) {
    const end = text.indexOf(fence)
    if (end >= 0) return /^\s*(#.*)?$/.test(text.slice(end + 3)) ? { value: text.slice(0, end), last } : undefined
    if (++last >= lines.length) return undefined
  }
}

/** A value in one line: plain, quoted, or a list with commas, up to a comment. Never interpolated. */
function parseInline(text: string): string | string[] | undefined {
  const parts: string[] = []
  let isList = false
  let rest = text.trim()
  while (rest !== '' && !rest.startsWith('#')) {
    const [whole = '', double, single, plain] = /^(?:"([^"]*)"|'([^']*)'|([^'",#][^,#]*)|)\s*/.exec(rest) ?? []
    const value = double ?? single ?? plain?.trim()
    if (value !== undefined) parts.push(value)
    rest = rest.slice(whole.length)
    if (rest.startsWith(',')) {
      isList = true
      rest = rest.slice(1).trimStart()
    } else if (rest !== '' && !rest.startsWith('#')) return undefined
  }
  return isList ? parts : (parts[0] ?? '')
}

function trailingComment(rest: string): string {
  return /^(?:"[^"]*"|'[^']*'|[^'"#][^#]*?|\s*)(?:\s*,\s*(?:"[^"]*"|'[^']*'|[^'"#,][^#,]*?))*(\s*#.*)$/.exec(rest)?.[1] ?? ''
}

/** @throws CairnError CONFIG for what the dialect cannot hold */
function quoteValue(value: string): string {
  const hasBoth = value.includes('"') && value.includes("'")
  if (value.includes('\n') || value.includes('\r') || (hasBoth && value.includes("'''") && value.includes('"""')))
    throw new CairnError('CONFIG', 'config file error: a value may not hold line breaks or all kinds of quotes')
  const isPlain = value !== '' && !/^[\s'"]|[\s'"]$|[,#]/.test(value)
  if (isPlain) return value
  if (hasBoth) return value.includes("'''") || value.endsWith("'") ? `"""${value}"""` : `'''${value}'''`
  return value.includes('"') ? `'${value}'` : `"${value}"`
}

function invalid(file: string, what: string): CairnError {
  const hint = /<{7}|>{7}|={7}/.test(what) ? 'The file holds a merge conflict.' : undefined
  return new CairnError('CONFIG', `config file error: ${file}: ${what}`, hint === undefined ? {} : { hint })
}
