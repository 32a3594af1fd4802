import { setTimeout as pause } from 'node:timers/promises'
import { CairnError } from '@cairn/protocol/error'
import type { BlobStat, BlobStore } from '../../domain/ports/blob-store.ts'

export interface RetryPolicy {
  /** How often in all, the first time included. */
  attempts: number
  /** Before the second attempt; doubles with each, and varies by half so that many do not return at once. */
  pauseMs: number
}

const PATIENT: RetryPolicy = { attempts: 4, pauseMs: 200 }

// What a bucket's credentials, name or policy cause stays as it is until somebody changes them; these pass.
const PASSING = new Set([
  ...['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ENETUNREACH', 'EHOSTUNREACH', 'EMFILE', 'ENFILE'],
  ...['SlowDown', 'InternalError', 'ServiceUnavailable', 'RequestTimeout', 'RequestTimeTooSkewed', 'OperationAborted'],
  ...['HTTP_408', 'HTTP_429', 'HTTP_499', 'HTTP_500', 'HTTP_502', 'HTTP_503', 'HTTP_504', 'HTTP_520'],
])

/**
 * Tries again what failed for a reason that passes. `put` and `putPart` are left alone, for their bytes can be read only once: a store
 * that can repeat a part of it does so itself (`retrying`).
 */
export function withRetry(store: BlobStore, policy: RetryPolicy = PATIENT): BlobStore {
  const never = new AbortController().signal
  return {
    put: (key, bytes, options) => store.put(key, bytes, options),
    beginDraft: (key, size, signal) => retrying(() => store.beginDraft(key, size, signal), signal, policy),
    putPart: (draft, number, bytes, options) => store.putPart(draft, number, bytes, options),
    completeDraft: (draft, receipts, options) =>
      retrying(() => store.completeDraft(draft, receipts, options), options.signal, policy),
    dropDraft: (draft) => retrying(() => store.dropDraft(draft), never, policy),
    get: (key, options) => retrying(() => store.get(key, options), options.signal, policy),
    stat: (key) => retrying(() => store.stat(key), never, policy),
    delete: (keys) => retrying(() => store.delete(keys), never, policy),
    list: (prefix, signal) => listAgain(store, prefix, signal, policy),
    removeUnfinished: (before, signal, standing) =>
      retrying(() => store.removeUnfinished(before, signal, standing), signal, policy),
    check: (signal) => store.check(signal),
    direct: store.direct,
  }
}

/** Calls `fn` until it succeeds, fails for good, or the policy is exhausted; the last error is thrown. */
export async function retrying<T>(fn: () => Promise<T>, signal: AbortSignal, policy: RetryPolicy = PATIENT): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fn()
    } catch (error) {
      if (attempt >= policy.attempts || signal.aborted || !passes(error)) throw error
      const longest = policy.pauseMs * 2 ** (attempt - 1)
      await pause(longest * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => signal.throwIfAborted())
    }
  }
}

/** Starts a list anew as long as it has told nothing: in its midst it could only repeat or skip. */
async function* listAgain(
  store: BlobStore,
  prefix: string,
  signal: AbortSignal,
  policy: RetryPolicy,
): AsyncGenerator<BlobStat, void> {
  const open = async (): Promise<{ list: AsyncIterator<BlobStat>; first: IteratorResult<BlobStat> }> => {
    const list = store.list(prefix, signal)[Symbol.asyncIterator]()
    return { list, first: await list.next() }
  }
  const { list, first } = await retrying(open, signal, policy)
  try {
    for (let step = first; !step.done; step = await list.next()) yield step.value
  } finally {
    await list.return?.()
  }
}

function passes(error: unknown): boolean {
  if (!(error instanceof CairnError) || error.code !== 'STORAGE_FAILED') return false
  const { cause } = error
  return cause instanceof Error && 'code' in cause && PASSING.has(String(cause.code))
}
