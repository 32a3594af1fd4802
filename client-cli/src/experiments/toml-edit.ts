import { isDeepStrictEqual } from 'node:util'
import { isNumber, numberText } from '../pipeline/python-value.ts'
import type { YamlValue } from '../pipeline/yaml-text.ts'
import type { Override } from './override.ts'

/**
 * Sets values that stand on a line of their own, so that comments and order stay. undefined when the result is not `wanted`: then
 * the file must be written anew.
 */
export function setInToml(
  text: string,
  overrides: readonly Override[],
  parse: (text: string) => unknown,
  wanted: YamlValue,
): string | undefined {
  const lines = text.split('\n')
  for (const override of overrides) {
    const value = literal(override.choices[0]?.value ?? null)
    if (value === undefined || override.action === 'delete' || !setLine(lines, override.key, value)) return undefined
  }
  const edited = lines.join('\n')
  return readsAs(edited, parse, wanted) ? edited : undefined
}

function readsAs(text: string, parse: (text: string) => unknown, wanted: YamlValue): boolean {
  try {
    return isDeepStrictEqual(parse(text), wanted)
  } catch {
    // Not valid any more: a line was not what it seemed to be.
    return false
  }
}

function setLine(lines: string[], key: string, value: string): boolean {
  let table = ''
  for (const [at, line] of lines.entries()) {
    const header = /^\s*\[([^[\]]+)\]\s*(#.*)?$/.exec(line)
    if (header) table = `${(header[1] ?? '').replaceAll(/[\s"']/g, '')}.`
    const [, lead = '', name = '', old = '', rest = ''] =
      /^(\s*([\w.-]+)\s*=\s*)([^#"']*?|"[^"]*"|'[^']*')(\s*(?:#.*)?)$/.exec(line) ?? []
    if (name === '' || old === '' || table + name !== key) continue
    lines[at] = lead + value + rest
    return true
  }
  return false
}

function literal(value: YamlValue): string | undefined {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'boolean') return String(value)
  return isNumber(value) ? numberText(value) : undefined
}
