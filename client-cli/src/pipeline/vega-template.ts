import { entriesOf } from './yaml-text.ts'

/** A Vega-Lite specification with anchors like `<DVC_METRIC_X>` where a plot's own values go. */
export type Template = unknown

export const anchorOf = (name: string): string => `<DVC_METRIC_${name.toUpperCase()}>`

/** True when some value is this anchor and nothing else. */
export function hasAnchor(template: Template, name: string): boolean {
  const anchor = anchorOf(name)
  const find = (value: unknown): boolean => {
    if (value === anchor) return true
    if (Array.isArray(value)) return value.some(find)
    return entriesOf(value)?.some(([, each]) => find(each)) ?? false
  }
  return find(template)
}

/** The template with an anchor replaced; a text also where the anchor is part of a longer text. */
export function fillAnchor(template: Template, name: string, value: unknown): Template {
  const anchor = anchorOf(name)
  const fill = (at: unknown): unknown => {
    if (at === anchor) return value
    if (typeof at === 'string') return typeof value === 'string' ? at.replaceAll(anchor, () => value) : at
    if (Array.isArray(at)) return at.map(fill)
    const entries = entriesOf(at)
    return entries ? new Map(entries.map(([key, each]) => [key, fill(each)])) : at
  }
  return fill(template)
}
