import { pythonLiteral } from './python-literal.ts'

/**
 * The literals that a Python file assigns: names of the module, attributes of its classes, and `self.x = …` in their `__init__`.
 * Nothing is run; what is no literal is left out.
 * @throws SyntaxError with the line, for a string or bracket that does not end
 */
export function parsePythonSource(text: string): Map<string, unknown> {
  const lines = logicalLines(text.replace(/^\ufeff/, '').replace(/\r\n?/g, '\n'))
  return assignmentsOf(lines, false)
}

/** A statement on its line or lines, without comments. */
interface Line {
  indent: number
  text: string
}

function assignmentsOf(lines: readonly Line[], onlySelf: boolean): Map<string, unknown> {
  const found = new Map<string, unknown>()
  const base = lines[0]?.indent ?? 0
  for (let at = 0; at < lines.length;) {
    const line = lines[at++]
    const from = at
    while ((lines[at]?.indent ?? base) > base) at++
    if (line) readStatement(line, lines.slice(from, at), onlySelf, found)
  }
  return found
}

function readStatement({ text, indent }: Line, body: readonly Line[], onlySelf: boolean, found: Map<string, unknown>): void {
  const block = /^(?:class\s+([\p{L}_][\p{L}\p{N}_]*)|def\s+__init__\s*\()/u.exec(text)
  if (!block) {
    const assigned = assignmentOf(text, onlySelf)
    if (assigned) found.set(assigned.name, assigned.value)
    return
  }
  const inner = assignmentsOf([...afterColon(text, indent), ...body], block[1] === undefined)
  if (block[1] !== undefined) found.set(block[1], inner)
  else for (const [name, value] of inner) found.set(name, value)
}

/** The statements that follow the colon of `class A: x = 1`. */
function afterColon(text: string, indent: number): Line[] {
  const colon = marksOf(text).find(({ char, depth }) => char === ':' && depth === 0)
  const rest = colon === undefined ? '' : text.slice(colon.at + 1).trim()
  return rest === '' ? [] : [{ indent: indent + 1, text: rest }]
}

function assignmentOf(text: string, onlySelf: boolean): { name: string; value: unknown } | undefined {
  const marks = marksOf(text).filter(({ depth }) => depth === 0)
  const equals = marks.filter(
    ({ char, at }) => char === '=' && text[at + 1] !== '=' && !/[-+*/%&|^<>!=:@]/.test(text[at - 1] ?? ''),
  )
  const [equal] = equals
  if (equal === undefined || equals.length > 1) return undefined
  const colon = marks.find(({ char, at }) => char === ':' && at < equal.at)
  const target = text.slice(0, colon?.at ?? equal.at).trim()
  const [, self, name] = /^(self\s*\.\s*)?([\p{L}_][\p{L}\p{N}_]*)$/u.exec(target) ?? []
  if (name === undefined || (onlySelf && self === undefined)) return undefined
  const literal = pythonLiteral(text.slice(equal.at + 1))
  return literal && { name, value: literal.value }
}

interface Mark {
  char: string
  at: number
  /** How many brackets are open around it. */
  depth: number
}

const TOKEN =
  /"""(?:[^\\]|\\[^])*?"""|'''(?:[^\\]|\\[^])*?'''|"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*'|#[^\n]*|\\\n|[([{}\])]|[=:;\n"']/g

/** Every character that structures a source, those in strings and comments left out. */
function marksOf(text: string): Mark[] {
  const marks: Mark[] = []
  let depth = 0
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token.length > 1) continue
    if ('([{'.includes(token)) depth++
    else if (')]}'.includes(token)) depth--
    else marks.push({ char: token, at: index, depth })
  }
  return marks
}

/** A source cut into statements: at the ends of lines and at `;`, outside of brackets and strings. */
function logicalLines(text: string): Line[] {
  const lines: Line[] = []
  let depth = 0
  let from = 0
  let piece = ''
  let indent: number | undefined
  const flush = (end: number) => {
    piece += text.slice(from, end)
    const statement = piece.trim()
    if (statement !== '') {
      indent ??= piece.search(/\S/)
      lines.push({ indent, text: statement })
      // What follows `class A: x = 1;` belongs to the class.
      if (/^(?:class|def)\b/.test(statement)) indent++
    }
    piece = ''
  }
  for (const { 0: token, index } of `${text}\n`.matchAll(TOKEN)) {
    if (token === '"' || token === "'") throw syntaxError('a string does not end', text, index)
    if (token.startsWith('#') || token === '\\\n') {
      piece += `${text.slice(from, index)} `
      from = index + token.length
    } else if ('([{'.includes(token)) depth++
    else if (')]}'.includes(token)) depth--
    else if ((token === '\n' || token === ';') && depth === 0) {
      flush(index)
      from = index + 1
      if (token === '\n') indent = undefined
    }
    if (depth < 0) throw syntaxError(`unmatched '${token}'`, text, index)
  }
  if (depth > 0) throw syntaxError('a bracket does not end', text, text.length)
  return lines
}

const syntaxError = (what: string, text: string, at: number): SyntaxError =>
  new SyntaxError(`${what}, line ${text.slice(0, at).split('\n').length}`)
