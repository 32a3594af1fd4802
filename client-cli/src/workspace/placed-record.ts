import { type Digest, isLegacy, md5Of } from '@cairn/protocol/digest'
import type { Stats } from 'node:fs'
import type { Desk } from './desk.ts'
import { contentOfScan, recordScan } from './digest-path.ts'
import { createPace } from './pace.ts'
import type { OutputPlan } from './plan-checkout.ts'
import { recordPlaced } from './relink.ts'
import { emptyScan } from './scan.ts'

/** The stats of an output's files, collected while they are placed. */
export interface PlacedRecord {
  /** `stat` is the file's final one; without it the file is asked when all stand in their places. */
  add(file: string, digest: Digest, stat?: Stats): void
  /** Keeps the record when it is the whole output that was wanted. */
  finish(): Promise<void>
}

const UNKNOWN = { mtimeMs: Number.NaN, ctimeMs: 0, size: 0, ino: 0 }
const NOTHING: PlacedRecord = { add: () => undefined, finish: () => Promise.resolve() }

export function recordPlan(desk: Desk, { wanted, root, scan: before, kept, writes }: OutputPlan): PlacedRecord {
  const { digest: tree } = wanted
  if (wanted.inside !== undefined || tree === undefined) return NOTHING
  const after = emptyScan(root, before?.legacy ?? isLegacy(tree), kept.length + writes.length)
  const unasked: number[] = []
  for (const row of before ? kept : []) {
    if (before) after.rows.setMd5(after.rows.add(before.rows.path(row), before.rows.stat(row)), before.rows.md5(row))
  }
  return {
    add(file, digest, stat) {
      const row = after.rows.add(file, stat ?? UNKNOWN)
      after.rows.setMd5(row, md5Of(digest))
      if (!stat) unasked.push(row)
      else if (!desk.timestamps().settled(stat, stat.dev, Date.now())) after.rows.distrust(row)
    },
    async finish() {
      const pace = createPace(desk.signal)
      for (const row of unasked) {
        const waiting = pace()
        if (waiting) await waiting
        recordPlaced(desk, after, row)
      }
      for (let row = 0; row < after.rows.count; row++) after.bytes += after.rows.size(row)
      if ((await contentOfScan(desk, after)).digest === tree) recordScan(desk, wanted.path, after, tree)
    },
  }
}
