import type { Digest } from '@cairn/protocol/digest'
import { formatBytes } from '../report/progress.ts'
import type { CloudDifference } from './cloud-status.ts'

/** What a push or fetch would move. */
export interface TransferPlan {
  objects: CloudDifference[]
  /** Known for what is in the cache. */
  bytes: number
  /** On neither side: nothing can bring these. */
  missing: CloudDifference[]
}

/** Pure. Each object once, however many paths hold it. `sizeOf` in bytes; undefined when unknown. */
export function planTransfer(
  direction: 'push' | 'fetch',
  differences: readonly CloudDifference[],
  sizeOf: (digest: Digest) => number | undefined,
): TransferPlan {
  const moving = direction === 'push' ? 'new' : 'deleted'
  const once = (state: CloudDifference['state']) => [
    ...new Map(differences.filter((each) => each.state === state).map((each) => [each.digest, each])).values(),
  ]
  const objects = once(moving)
  const bytes = objects.reduce((sum, object) => sum + (sizeOf(object.digest) ?? 0), 0)
  return { objects, bytes, missing: once('missing') }
}

const SHOWN = 50

export function describePlan(direction: 'push' | 'fetch', plan: TransferPlan, remote: string): string {
  const { objects, missing } = plan
  const lines: string[] = []
  if (objects.length === 0 && missing.length === 0) return 'Everything is up to date.'
  if (objects.length > 0) {
    const size = direction === 'push' ? ` (${formatBytes(plan.bytes)})` : ''
    const [preposition] = direction === 'push' ? ['to'] : ['from']
    lines.push(`Would ${direction} ${objects.length} file${objects.length === 1 ? '' : 's'}${size} ${preposition} '${remote}':`)
    lines.push(...objects.slice(0, SHOWN).map((object) => `\t${object.path}`))
    if (objects.length > SHOWN) lines.push(`\t… and ${objects.length - SHOWN} more`)
  }
  if (missing.length > 0)
    lines.push(`${missing.length} missing on both sides:`, ...missing.slice(0, SHOWN).map((object) => `\t${object.path}`))
  return lines.join('\n')
}
