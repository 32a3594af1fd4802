import { isCode } from '@cairn/protocol/error'
import { type Batching, createBatching } from './batching.ts'
import type { ObjectRow, ProjectRow } from './ports/catalog.ts'
import type { Stores } from './stores.ts'

/**
 * What a stock client was told is present stays for a day: it may send the tree that needs it much later, and has no
 * session to say so. Its token has one for each hour instead.
 */
export interface StockLeases {
  /** Resolves once it is written down, which many do together; at once for what was written down within the hour. */
  hold(project: ProjectRow, tokenId: string, row: ObjectRow): Promise<void>
}

const SLOT_SECONDS = 3600
const PROMISE_SECONDS = 24 * 3600
const LEASE_IDS = 10_000
/** Objects remembered as written down. Beyond it some are written down again. */
const REMEMBERED = 200_000

interface Slot {
  number: number
  /** What is written down or about to be. */
  held: Map<number, Promise<void>>
  batching: Batching<number, undefined>
}

export function createStockLeases(stores: Pick<Stores, 'catalog' | 'clock'>): StockLeases {
  const slots = new Map<string, Slot>()
  let remembered = 0

  const forget = () => {
    slots.clear()
    remembered = 0
  }

  const slotOf = (project: ProjectRow, tokenId: string): Slot => {
    const number = Math.floor(stores.clock.now().getTime() / 1000 / SLOT_SECONDS)
    const key = `${project.id} ${tokenId}`
    const standing = slots.get(key)
    if (standing?.number === number) return standing
    remembered -= standing?.held.size ?? 0
    const slot = { number, held: new Map<number, Promise<void>>(), batching: createSlotBatching(stores, project, tokenId) }
    slots.set(key, slot)
    return slot
  }

  return {
    hold(project, tokenId, { id }) {
      if (remembered >= REMEMBERED) forget()
      const slot = slotOf(project, tokenId)
      const held = slot.held.get(id)
      if (held) return held
      const holding = slot.batching.add(id).catch((error: unknown) => {
        // Its session may be gone: the next one to ask opens another.
        if (slot.held.has(id)) forget()
        throw error
      })
      slot.held.set(id, holding)
      remembered++
      return holding
    },
  }
}

function createSlotBatching(stores: Pick<Stores, 'catalog'>, project: ProjectRow, tokenId: string): Batching<number, undefined> {
  let session: Promise<string> | undefined
  const open = async (): Promise<string> =>
    (await stores.catalog.openSession(project.id, tokenId, 'pull', SLOT_SECONDS + PROMISE_SECONDS)).id
  const write = async (ids: readonly number[]): Promise<void> => {
    session ??= open()
    try {
      await stores.catalog.addLease(await session, ids, { lasting: false })
    } catch (error) {
      session = undefined
      throw error
    }
  }
  return createBatching({
    lanes: 1,
    members: LEASE_IDS,
    async run(ids) {
      try {
        await write(ids)
      } catch (error) {
        if (!isCode(error, 'SESSION_UNKNOWN')) throw error
        await write(ids)
      }
      return ids.map(() => undefined)
    },
  })
}
