/** Our templates draw in their own way; what they draw is the same. */
export function withoutDrawing(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDrawing)
  if (typeof value !== 'object' || value === null) return value
  const fields = value as Record<string, unknown>
  if ('$schema' in fields) return { $schema: fields['$schema'], data: fields['data'], title: fields['title'] }
  return Object.fromEntries(Object.entries(fields).map(([key, each]) => [key, withoutDrawing(each)]))
}
