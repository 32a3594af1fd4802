import { INDEX_ENTRY_BYTES, MAX_PACK_MEMBERS, PACK_MEMBER_LIMIT, RECORD_BYTES } from '@cairn/protocol/pack'
import type { Outgoing } from './outgoing.ts'

export interface PackLimits {
  packBytes: number
  packMembers: number
}

export interface PushPlan {
  /** Small objects, in the order given: neighbours in a folder stay neighbours in storage. */
  packs: Outgoing[][]
  /** One request each, largest first. */
  singles: Outgoing[]
}

/** Below this a further pack costs more than it gains. */
const SMALLEST_SHARE = 8 * 1024 * 1024

/** How objects travel: small ones in packs, as many at least as there are `jobs` where that is worth it, large ones alone. Pure. */
export function planPush(objects: readonly Outgoing[], limits: PackLimits, jobs: number): PushPlan {
  const small = objects.filter((object) => object.size < PACK_MEMBER_LIMIT)
  const singles = objects.filter((object) => object.size >= PACK_MEMBER_LIMIT).toSorted((a, b) => b.size - a.size)
  const total = small.reduce((sum, object) => sum + weight(object), 0)
  const target = Math.min(limits.packBytes, Math.max(SMALLEST_SHARE, Math.ceil(total / jobs)))
  const most = Math.min(limits.packMembers, MAX_PACK_MEMBERS)
  const packs: Outgoing[][] = []
  let open: Outgoing[] = []
  let filled = 0
  for (const object of small) {
    if (open.length > 0 && (filled + weight(object) > target || open.length >= most)) {
      packs.push(open)
      open = []
      filled = 0
    }
    open.push(object)
    filled += weight(object)
  }
  if (open.length > 0) packs.push(open)
  return { packs, singles }
}

const weight = (object: Outgoing): number => object.size + RECORD_BYTES + INDEX_ENTRY_BYTES
