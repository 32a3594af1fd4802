import { CairnError, isCode } from '@cairn/protocol/error'

/** SQLSTATEs: connection failures, the server's shutdowns and crashes, and what the driver and the system say of them. */
const GONE = /^(08|57P0|ECONN|EPIPE|ENOENT|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN)/
/** What the driver says without a code. */
const GONE_WORDS = /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/
const BUSY = ['53200', '53300', '53400']

/** What the database's condition means for who asked; any other error as it is. */
export function databaseFailure(cause: unknown): unknown {
  if (!(cause instanceof Error) || cause instanceof CairnError) return cause
  if (isCode(cause, '53100')) {
    return new CairnError('STORAGE_FULL', 'the disk of the database is full', {
      cause,
      hint: 'Free space or extend the volume, then try again: what was stored stays.',
    })
  }
  if (isCode(cause, ...BUSY)) return new CairnError('OVERLOADED', 'the database is at its limit', { cause })
  const code = 'code' in cause ? String(cause.code) : ''
  if (!GONE.test(code) && !GONE_WORDS.test(cause.message)) return cause
  return new CairnError('STORAGE_FAILED', 'the database does not answer', { cause })
}

/** The same object, whose methods fail in those words. */
export function withDatabaseWords<T extends object>(port: T): T {
  const worded =
    (method: (...args: unknown[]) => Promise<unknown>) =>
    async (...args: unknown[]) => {
      try {
        return await method(...args)
      } catch (error) {
        throw databaseFailure(error)
      }
    }
  const methods = Object.entries(port).map(([name, method]) => [name, worded(method)])
  return Object.fromEntries(methods) as T
}
