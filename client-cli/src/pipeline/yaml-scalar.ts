import { float, int, type Scalar } from './python-value.ts'

const BOOL = /^(?:true|True|TRUE|false|False|FALSE)$/
const FLOAT =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?|[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+|[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?)$/
const SPECIAL = /^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/
const INT = /^(?:[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9][0-9_]*|[-+]?_[0-9_]*|[-+]?0x[0-9a-fA-F_]+)$/
const NULL = /^(?:~|null|Null|NULL|)$/
const DAY = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/
const MOMENT =
  /^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?$/

/** What an unquoted scalar means, by the rules of YAML 1.2 that dvc reads with: `yes` is text, `017` is 17. Dates stay text. */
export function resolvePlain(text: string): Scalar {
  if (!/^[-+.0-9~ntfNTF]|^$/.test(text)) return text
  if (NULL.test(text)) return null
  if (BOOL.test(text)) return text.toLowerCase() === 'true'
  if (SPECIAL.test(text)) return specialFloat(text.toLowerCase())
  if (FLOAT.test(text)) return float(Number(text.replaceAll('_', '')))
  if (INT.test(text)) return resolveInt(text)
  return text
}

function specialFloat(text: string): number {
  if (text === '.nan') return Number.NaN
  return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}

function resolveInt(text: string): Scalar {
  const digits = text.replaceAll('_', '')
  return /[0-9a-fA-F]$/.test(digits) ? int(digits) : text
}

const NOT_TEXT = [NULL, BOOL, SPECIAL, FLOAT, INT, DAY, MOMENT, /^(?:<<|=)$/]

/** True when the text, unquoted, would be read back as that very text. */
export const readsAsText = (text: string): boolean =>
  !/^[-+.0-9~ntfNTF<=]|^$/.test(text) || !NOT_TEXT.some((pattern) => pattern.test(text))
