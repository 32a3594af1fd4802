import type { YamlNode } from './yaml-node.ts'

/** Whether a text of dvc.yaml may hold templates; when it does not, nothing of what resolves them is even loaded. */
export const mayHoldTemplates = (text: string): boolean => /\$\{|\b(?:foreach|matrix|vars)\b/.test(text)

/** A `${…}` that no backslash makes text of. It ends on its line. */
export const hasReference = (text: string): boolean => text.includes('${') && /(?<!\\)\$\{.*?\}/.test(text)

/** `\${` stands for `${`. */
export const unescaped = (text: string): string => text.replaceAll('\\${', '${')

/** True when a `${…}` stands in the node, in a key or a value. */
export function usesTemplates(node: YamlNode): boolean {
  if (node.kind === 'scalar') return typeof node.value === 'string' && hasReference(node.value)
  if (node.kind === 'seq') return node.nodes.some(usesTemplates)
  return node.entries.some((entry) => hasReference(entry.name) || usesTemplates(entry.node))
}

export function unescapedNode(node: YamlNode): YamlNode {
  if (node.kind === 'seq') return { ...node, nodes: node.nodes.map(unescapedNode) }
  if (node.kind === 'scalar') return typeof node.value === 'string' ? { ...node, value: unescaped(node.value) } : node
  return {
    ...node,
    entries: node.entries.map((entry) => ({ ...entry, name: unescaped(entry.name), node: unescapedNode(entry.node) })),
  }
}
