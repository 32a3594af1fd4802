import type { Bytes } from './ports/blob-store.ts'

/**
 * One reader that pulls, one writer that pushes, at one pace: `send` resolves when the reader has come back for more, so
 * nothing piles up between them.
 */
export interface Rendezvous {
  send(chunk: Uint8Array): Promise<void>
  /** No more chunks. With an error the reader gets it thrown. */
  end(error?: unknown): void
  bytes: Bytes
}

type Letter = { chunk: Uint8Array; taken: () => void } | { error: unknown } | 'end'

export function createRendezvous(): Rendezvous {
  let letter: Letter | undefined
  let arrived: (() => void) | undefined
  let left = false
  let release: (() => void) | undefined

  const put = (next: Letter) => {
    letter = next
    arrived?.()
  }

  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) {
        if (!letter) await new Promise<void>((resolve) => (arrived = resolve))
        const next = letter
        letter = undefined
        if (next === undefined || next === 'end') return
        if ('error' in next) throw next.error
        release = next.taken
        yield next.chunk
        next.taken()
      }
    } finally {
      left = true
      release?.()
    }
  }

  return {
    bytes: read(),
    send: (chunk) => (left ? Promise.resolve() : new Promise((resolve) => put({ chunk, taken: resolve }))),
    end: (error) => put(error === undefined ? 'end' : { error }),
  }
}
