import { INDEX_ENTRY_BYTES, PACK_MEMBER_LIMIT, RECORD_BYTES } from '@cairn/protocol/pack'
import type { Outgoing } from './outgoing.ts'

export interface PackLimits {
  packBytes: number
  packMembers: number
}

/** What one request, or one way for a single object, carries. */
export type Send = { kind: 'pack'; members: Outgoing[] } | { kind: 'single'; object: Outgoing }

/** The first packs are small, so that each connection soon has one; below this a further pack costs more than it gains. */
const FIRST_PACK = 8 * 1024 * 1024
/** Each member is a row that the server writes before it answers, and its answer has to come within the client's patience. */
const MOST_MEMBERS = 8192

/**
 * How objects travel: small ones in packs, in the order given, so that neighbours in a folder stay neighbours in storage;
 * large ones alone. Packs grow after each has had one. Pure, and lazy: takes objects only as sends are taken.
 */
export function* planSends(objects: Iterable<Outgoing>, limits: PackLimits, jobs: number): Generator<Send> {
  const most = Math.min(limits.packMembers, MOST_MEMBERS)
  let packs = 0
  let members: Outgoing[] = []
  let filled = 0
  for (const object of objects) {
    if (isLarge(object)) {
      yield { kind: 'single', object }
      continue
    }
    const target = Math.min(limits.packBytes, FIRST_PACK * 2 ** Math.floor(packs / jobs))
    if (members.length > 0 && (filled + weight(object) > target || members.length >= most)) {
      yield { kind: 'pack', members }
      packs++
      members = []
      filled = 0
    }
    members.push(object)
    filled += weight(object)
  }
  if (members.length > 0) yield { kind: 'pack', members }
}

export const isLarge = (object: { size: number }): boolean => object.size >= PACK_MEMBER_LIMIT

const weight = (object: Outgoing): number => object.size + RECORD_BYTES + INDEX_ENTRY_BYTES
