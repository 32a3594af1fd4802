import type { Bytes } from '../../domain/ports/blob-store.ts'

/** The same bytes; throws the signal's reason as soon as it aborts, also while the source is silent. */
export async function* abortable(bytes: Bytes, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  const source = bytes[Symbol.asyncIterator]()
  let waiting: ((reason: unknown) => void) | undefined
  let ended = false
  const onAbort = (): void => waiting?.(signal.reason)
  const next = (): Promise<IteratorResult<Uint8Array>> =>
    new Promise((resolve, reject) => {
      waiting = reject
      source.next().then(resolve, (error: unknown) => {
        ended = true
        reject(error)
      })
    })

  signal.addEventListener('abort', onAbort)
  try {
    for (;;) {
      signal.throwIfAborted()
      const step = await next()
      if (step.done) {
        ended = true
        return
      }
      yield step.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Not awaited: a silent source answers only when its next chunk comes, and that may be never.
    if (!ended) source.return?.().catch(() => undefined)
  }
}
