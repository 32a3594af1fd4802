import type { Request, Response } from 'express'
import { CairnError, type ErrorBody } from '@cairn/protocol/error'
import type { Log } from '../log.ts'
import { answerJson } from './answer.ts'

const RETRY_SECONDS = 3

/** Answers with what went wrong. A stock client shows only the reason phrase, so the message goes there too. */
export function answerError(error: unknown, req: Request, res: Response, log: Log): void {
  const known = asCairnError(error)
  res.locals['code'] = known.code
  if (known.code === 'INTERNAL') log.error({ err: error, requestId: res.locals['requestId'] }, 'a request failed')
  else if (known.status >= 500)
    log.warn({ code: known.code, requestId: res.locals['requestId'], cause: causeOf(known) }, known.message)
  if (res.destroyed || res.writableEnded) return
  if (res.headersSent) {
    res.destroy()
    return
  }
  for (const name of ['ETag', 'Accept-Ranges', 'Content-Range', 'Last-Modified']) if (known.status !== 416) res.removeHeader(name)
  if (known.status === 401) res.setHeader('WWW-Authenticate', 'Basic realm="cairn", charset="UTF-8"')
  if (known.status === 503) res.setHeader('Retry-After', RETRY_SECONDS)
  res.statusMessage = reasonPhrase(known.message)
  answerJson(req, res, known.status, errorBody(known, res))
}

function errorBody(error: CairnError, res: Response): ErrorBody {
  const { code, message, hint, data } = error
  // A 404 says nothing that differs between "not yours" and "not there", not even a number.
  const requestId = error.status === 404 ? undefined : String(res.locals['requestId'])
  return { code, message, ...(hint ? { hint } : {}), ...(requestId ? { requestId } : {}), ...(data ? { data } : {}) }
}

function asCairnError(error: unknown): CairnError {
  if (error instanceof CairnError) return error
  // What a read or write throws when its signal aborted: the client is gone.
  if (error instanceof Error && error.name === 'AbortError')
    return new CairnError('CANCELLED', 'the client is gone', { cause: error })
  // Express throws these for a path it cannot decode.
  if (error instanceof URIError) return new CairnError('BAD_REQUEST', 'the path is malformed')
  return new CairnError('INTERNAL', 'the server failed; its log has the details under this request id', { cause: error })
}

function causeOf(error: CairnError): string | undefined {
  return error.cause instanceof Error ? error.cause.message : undefined
}

/** What HTTP allows in a status line. */
function reasonPhrase(message: string): string {
  return message.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)
}
