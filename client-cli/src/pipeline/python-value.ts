/**
 * Numbers as Python tells them apart. An int is a `number` (a `bigint` beyond 2^53), a float is a `number` with a fraction,
 * an infinity or NaN, and a float without a fraction (`1.0`, `1e16`, `-0.0`) is a `Float`: dvc writes `1.0` and `1` differently.
 */
export class Float {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
  valueOf(): number {
    return this.value
  }
  toString(): string {
    return floatText(this.value)
  }
  toJSON(): number {
    return this.value
  }
}

export type Scalar = string | number | bigint | boolean | null | Float

/** A float's value in the form above. */
export const float = (value: number): number | Float => (Number.isInteger(value) ? new Float(value) : value)

/** An int's value in the form above; `digits` may carry a sign and a `0x`, `0o`, `0b` prefix. */
export function int(digits: string): number | bigint {
  if (/^\d{1,15}$/.test(digits)) return Number(digits)
  const negative = digits.startsWith('-')
  const magnitude = BigInt(digits.replace(/^[-+]/, ''))
  const value = negative ? -magnitude : magnitude
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
}

export const isNumber = (value: unknown): value is number | bigint | Float =>
  typeof value === 'number' || typeof value === 'bigint' || value instanceof Float

/** The number for arithmetic; a bigint loses digits beyond 2^53. */
export const numberOf = (value: number | bigint | Float): number => Number(value)

/** Python's `repr` of a number: `1`, `1.0`, `1e-07`, `1e+16`, `nan`. */
export function numberText(value: number | bigint | Float): string {
  if (value instanceof Float) return floatText(value.value)
  if (typeof value === 'bigint' || Number.isInteger(value)) return value.toString().replace(/^-0$/, '0')
  return floatText(value)
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  const [mantissa = '0', power = '0'] = Math.abs(value).toExponential().split('e')
  const digits = mantissa.replace('.', '')
  const exponent = Number(power)
  if (exponent < -4 || exponent >= 16) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : ''
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  if (digits.length <= exponent + 1) return `${sign}${digits.padEnd(exponent + 1, '0')}.0`
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`
}
