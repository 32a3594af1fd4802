import { MAX_DELTA_HEADER_BYTES, parseRecipe, type Recipe, recipeLength } from './delta.ts'
import { CairnError } from './error.ts'

const START_BYTES = 20

/** A delta as it arrives: the recipe, then its literals in the recipe's order. Close it. */
export interface DeltaStream {
  recipe: Recipe
  /** The next `length` literal bytes. @throws CairnError BAD_DELTA when the delta ends before */
  take(length: number): AsyncGenerator<Uint8Array>
  /** @throws CairnError BAD_DELTA when more follows */
  end(): Promise<void>
  close(): Promise<void>
}

/** Reads the header and leaves the literals to come; holds one chunk. @throws CairnError BAD_DELTA, and what the source throws */
export async function openDelta(source: AsyncIterable<Uint8Array>): Promise<DeltaStream> {
  const chunks = source[Symbol.asyncIterator]()
  let held: Uint8Array = new Uint8Array()
  const next = async (): Promise<boolean> => {
    while (held.length === 0) {
      const read = await chunks.next()
      if (read.done) return false
      held = read.value
    }
    return true
  }
  async function* take(length: number): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0;) {
      if (!(await next())) throw new CairnError('BAD_DELTA', `the delta ended ${left} bytes early`)
      const part = held.subarray(0, left)
      held = held.subarray(part.length)
      left -= part.length
      yield part
    }
  }
  const collect = async (length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(length)
    let at = 0
    for await (const part of take(length)) {
      bytes.set(part, at)
      at += part.length
    }
    return bytes
  }
  const close = async () => {
    await chunks.return?.()
  }

  try {
    const start = await collect(START_BYTES)
    const length = recipeLength(start)
    if (length > MAX_DELTA_HEADER_BYTES) throw new CairnError('BAD_DELTA', `a header of ${length} bytes`)
    const header = new Uint8Array(length)
    header.set(start)
    header.set(await collect(length - START_BYTES), START_BYTES)
    return {
      recipe: parseRecipe(header),
      take,
      close,
      async end() {
        if (await next()) throw new CairnError('BAD_DELTA', 'bytes follow the last literal')
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}
