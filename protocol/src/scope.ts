/** What a token may do in the projects it reaches. `admin` includes the others and the administration of tokens. */
export const SCOPES = ['read', 'write', 'delete', 'admin'] as const
export type Scope = (typeof SCOPES)[number]

export const isScope = (text: string): text is Scope => (SCOPES as readonly string[]).includes(text)

export function allows(granted: readonly Scope[], wanted: Scope): boolean {
  return granted.includes(wanted) || granted.includes('admin')
}
