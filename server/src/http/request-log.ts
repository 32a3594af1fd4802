import { randomUUID } from 'node:crypto'
import type { NextFunction, Request, Response } from 'express'
import type { HttpContext } from './context.ts'

const REQUEST_ID = /^[\w.-]{8,64}$/

/** Gives every request an id and writes one line when it is over. Tokens are named by their id; queries hold no secrets. */
export function requestLog(context: HttpContext) {
  return (req: Request, res: Response, next: NextFunction): void => {
    const started = performance.now()
    const wanted = req.headers['x-request-id']
    const requestId = typeof wanted === 'string' && REQUEST_ID.test(wanted) ? wanted : randomUUID()
    const { bytesRead, bytesWritten } = req.socket
    res.locals['requestId'] = requestId
    res.setHeader('X-Request-Id', requestId)
    if (context.stopping()) res.setHeader('Connection', 'close')
    res.once('close', () => {
      const seconds = (performance.now() - started) / 1000
      const received = Math.max(0, req.socket.bytesRead - bytesRead)
      const sent = Math.max(0, req.socket.bytesWritten - bytesWritten)
      const route = String(res.locals['route'] ?? 'unknown')
      const status = res.writableFinished ? res.statusCode : 499
      context.metrics.request({ route, method: req.method, status, seconds, received, sent })
      const line = {
        requestId,
        method: req.method,
        path: req.originalUrl.split('?', 1)[0],
        status,
        ms: Math.round(seconds * 1000),
        received,
        sent,
        token: res.locals['tokenId'] as string | undefined,
        code: res.locals['code'] as string | undefined,
      }
      // A stock push asks about every object by itself, a probe asks every few seconds.
      if (res.locals['quiet'] && status < 500) context.log.debug(line, 'request')
      else context.log.info(line, 'request')
    })
    next()
  }
}
