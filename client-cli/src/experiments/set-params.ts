import { isDeepStrictEqual } from 'node:util'
import path from 'node:path/posix'
import { stringify as stringifyToml } from 'smol-toml'
import { CairnError } from '@cairn/protocol/error'
import { jsonText } from '../pipeline/json-value.ts'
import { Float, type Scalar } from '../pipeline/python-value.ts'
import { parseContent } from '../pipeline/read-content.ts'
import { editYaml } from '../pipeline/yaml-edit.ts'
import { entriesOf, type YamlValue } from '../pipeline/yaml-text.ts'
import type { Override } from './override.ts'
import { setInToml } from './toml-edit.ts'

/**
 * A params file's text with its values set. YAML and TOML keep their comments and their order, JSON its indentation.
 * `text` undefined: there is no such file.
 * @throws CairnError FAILED for a key that is not there, or is and must not be, and for files of no such kind
 */
export function setParams(text: string | undefined, file: string, overrides: readonly Override[]): string {
  const suffix = path.extname(file).toLowerCase()
  if (suffix === '.py')
    throw new CairnError('FAILED', `cannot set params of '${file}': Python files are not changed`, {
      hint: 'Change the file by hand, or keep these params in YAML, JSON or TOML.',
    })
  const before = text === undefined ? new Map<Scalar, YamlValue>() : (parseContent(text, file) as YamlValue)
  const top = entriesOf(before)
  if (!top) throw new CairnError('FAILED', `cannot set params of '${file}': its top is no mapping`)
  let after: YamlValue = before
  for (const override of overrides) after = applied(after, override.key.split('.'), override)
  if (isDeepStrictEqual(before, after) && text !== undefined) return text
  if (suffix === '.json') return jsonLike(text, after)
  if (suffix === '.toml') return setInToml(text ?? '', overrides, (whole) => parseContent(whole, file), after) ?? tomlText(after)
  return editYaml(text ?? '', after, file)
}

function applied(at: YamlValue, [step = '', ...rest]: readonly string[], override: Override): YamlValue {
  if (Array.isArray(at)) return appliedAt(at as readonly YamlValue[], step, rest, override)
  const entries = entriesOf(at) ?? []
  const key = entries.find(([each]) => String(each) === step)?.[0]
  const map = new Map<Scalar, YamlValue>(entries)
  if (rest.length > 0) {
    if (key === undefined && (override.action === 'set' || override.action === 'delete')) throw absent(override)
    map.set(key ?? step, applied(key === undefined ? new Map() : (map.get(key) ?? new Map()), rest, override))
    return map
  }
  if (override.action === 'delete') return withoutKey(map, key, override)
  if (key === undefined && override.action === 'set') throw absent(override)
  if (key !== undefined && override.action === 'add')
    throw refused(`Could not append to config. An item is already at '${override.key}'.`, 'Leave the + out, or write ++.')
  map.set(key ?? step, merged(key === undefined ? undefined : map.get(key), override.choices[0]?.value ?? null))
  return map
}

function appliedAt(list: readonly YamlValue[], step: string, rest: readonly string[], override: Override): YamlValue {
  const index = /^\d+$/.test(step) ? Number(step) : list.length
  if (index >= list.length) throw absent(override)
  if (rest.length > 0) return list.with(index, applied(list[index] ?? null, rest, override))
  return override.action === 'delete' ? list.toSpliced(index, 1) : list.with(index, override.choices[0]?.value ?? null)
}

function withoutKey(map: Map<Scalar, YamlValue>, key: Scalar | undefined, override: Override): YamlValue {
  const [only] = override.choices
  if (key === undefined) throw refused(`Could not delete from config. '${override.key}' does not exist.`)
  if (only && !isDeepStrictEqual(only.value, map.get(key)))
    throw refused(`Could not delete from config. The value of '${override.key}' is not ${only.text}.`)
  map.delete(key)
  return map
}

/** A mapping that is set onto a mapping leaves the keys that it does not name. */
function merged(before: YamlValue | undefined, value: YamlValue): YamlValue {
  const [old, fresh] = [entriesOf(before), entriesOf(value)]
  if (!old || !fresh) return value
  const map = new Map<Scalar, YamlValue>(old)
  for (const [key, each] of fresh) map.set(key, merged(map.get(key), each))
  return map
}

const absent = ({ key }: Override): CairnError =>
  refused(`Could not override '${key}': there is no such key.`, `To add it: +${key}=…`)

function refused(message: string, hint?: string): CairnError {
  return new CairnError('FAILED', `Invalid \`--set-param\` value: ${message}`, hint === undefined ? {} : { hint })
}

function jsonLike(previous: string | undefined, value: YamlValue): string {
  const indent = /^\s*[{[]\r?\n([ \t]+)/.exec(previous ?? '')?.[1]
  const end = previous?.endsWith('\n') ? '\n' : ''
  return (indent === undefined ? jsonText(value) : indented(value, indent, '')) + end
}

function indented(value: YamlValue, indent: string, lead: string): string {
  const entries = entriesOf(value)
  const inner = lead + indent
  const parts = entries
    ? entries.map(([key, each]) => `${inner}${jsonText(String(key))}: ${indented(each, indent, inner)}`)
    : Array.isArray(value)
      ? (value as readonly YamlValue[]).map((each) => inner + indented(each, indent, inner))
      : undefined
  if (parts === undefined || parts.length === 0) return jsonText(value)
  const [open, close] = entries ? ['{', '}'] : ['[', ']']
  return `${open}\n${parts.join(',\n')}\n${lead}${close}`
}

const tomlText = (value: YamlValue): string =>
  `${stringifyToml(tomlValue(value), { numbersAsFloat: true })}\n`.replace(/\n+$/, '\n')

/** Floats stay numbers, ints become bigints: so the writer tells them apart. */
function tomlValue(value: YamlValue): unknown {
  const entries = entriesOf(value)
  if (entries) return Object.fromEntries(entries.map(([key, each]) => [String(key), tomlValue(each)]))
  if (Array.isArray(value)) return (value as readonly YamlValue[]).map(tomlValue)
  if (value instanceof Float) return value.value
  return typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : value
}
