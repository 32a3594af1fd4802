import { isCode } from '@cairn/protocol/error'
import type { BlobStore } from '../../domain/ports/blob-store.ts'

/** One finished call to the store. For `get` it ends when the stream closes. */
export interface BlobCall {
  operation: 'put' | 'put-part' | 'complete-draft' | 'get' | 'stat' | 'delete' | 'remove-unfinished' | 'check'
  /** `cancelled`: the caller's signal, or a stream destroyed before its end. */
  outcome: 'ok' | 'missing' | 'cancelled' | 'failed'
  seconds: number
  /** Bytes that a `put` stored; 0 otherwise. What is read is counted where it is sent. */
  bytes: number
}

/** Tells of every call to the store, `list` apart, which lives as long as whoever reads it. */
export function withMetrics(store: BlobStore, observe: (call: BlobCall) => void): BlobStore {
  const begin = (operation: BlobCall['operation']): ((outcome: BlobCall['outcome'], bytes?: number) => void) => {
    const start = performance.now()
    return (outcome, bytes = 0) => observe({ operation, outcome, seconds: (performance.now() - start) / 1000, bytes })
  }
  const measured = async <T>(operation: BlobCall['operation'], fn: () => Promise<T>, signal?: AbortSignal): Promise<T> => {
    const tell = begin(operation)
    try {
      const result = await fn()
      tell('ok', operation === 'put' ? Number(result) : 0)
      return result
    } catch (error) {
      tell(outcomeOf(error, signal))
      throw error
    }
  }

  return {
    put: (key, bytes, options) => measured('put', () => store.put(key, bytes, options), options.signal),
    beginDraft: (key, size, signal) => store.beginDraft(key, size, signal),
    putPart: (draft, number, bytes, options) =>
      measured('put-part', () => store.putPart(draft, number, bytes, options), options.signal),
    completeDraft: (draft, receipts, options) =>
      measured('complete-draft', () => store.completeDraft(draft, receipts, options), options.signal),
    dropDraft: (draft) => store.dropDraft(draft),
    stat: (key) => measured('stat', () => store.stat(key)),
    delete: (keys) => measured('delete', () => store.delete(keys)),
    list: (prefix, signal) => store.list(prefix, signal),
    removeUnfinished: (before, signal, standing) =>
      measured('remove-unfinished', () => store.removeUnfinished(before, signal, standing), signal),
    check: (signal) => measured('check', () => store.check(signal), signal),
    direct: store.direct,

    async get(key, options) {
      const tell = begin('get')
      try {
        const stream = await store.get(key, options)
        stream.once('close', () => {
          if (stream.readableEnded) tell('ok')
          else tell(stream.errored && !options.signal.aborted ? 'failed' : 'cancelled')
        })
        return stream
      } catch (error) {
        tell(outcomeOf(error, options.signal))
        throw error
      }
    },
  }
}

function outcomeOf(error: unknown, signal: AbortSignal | undefined): BlobCall['outcome'] {
  if (signal?.aborted) return 'cancelled'
  return isCode(error, 'NOT_FOUND') ? 'missing' : 'failed'
}
