import type { Request, Response } from 'express'
import { directUrl } from '../domain/direct.ts'
import type { ObjectRow } from '../domain/ports/catalog.ts'
import type { HttpContext } from './context.ts'

/** Below this a redirect costs a stock client more than it gains: a round trip, and a read of the bucket for each probe. */
const LARGE_BYTES = 16 * 1024 * 1024

/**
 * Where a stock client may get a large object instead of here, if its administrator wants that; undefined: here. Only a
 * bearer token is known to stay behind when such a client follows to another origin: it sends its user and password along
 * with `auth = basic`, and the bucket then refuses the request.
 */
export function redirectOf(context: HttpContext, req: Request, row: ObjectRow): string | undefined {
  if (!context.redirectsStock || req.method !== 'GET' || row.size < LARGE_BYTES) return undefined
  if (!/^bearer /i.test(req.headers.authorization ?? '')) return undefined
  return context.direct()?.get ? directUrl(context.stores, row) : undefined
}

/** 307: whatever follows repeats the method, and a `Range` with it. */
export function redirect(res: Response, url: string): void {
  res.statusCode = 307
  res.setHeader('Location', url)
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('Content-Length', 0)
  res.end()
}
