import type { Request, Response } from 'express'
import { CairnError } from '@cairn/protocol/error'
import type { Bytes } from '../domain/ports/blob-store.ts'
import { hasBody, waitsForInvitation } from './body.ts'

/** After an early answer a sender may go on for so long before the connection is closed under it. */
const DRAIN_BYTES = 1024 * 1024
const DRAIN_MILLISECONDS = 2000

export function answerJson(req: Request, res: Response, status: number, value: unknown): void {
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  answerBytes(req, res, status, Buffer.from(JSON.stringify(value)))
}

/** The headers and a small body in one write. Does not wait for the rest of the request's body. */
export function answerBytes(req: Request, res: Response, status: number, bytes: Uint8Array): void {
  res.statusCode = status
  if (status !== 204) res.setHeader('Content-Length', bytes.length)
  if (req.complete || !hasBody(req)) {
    res.end(req.method === 'HEAD' ? undefined : bytes)
    return
  }
  // The answer goes out at once and the connection is closed, but not before the sender had a chance to read it: closing
  // with unread bytes resets the connection, and a reset may overtake the answer.
  res.setHeader('Connection', 'close')
  if (waitsForInvitation(req)) {
    res.end(bytes)
    return
  }
  if (bytes.length > 0 && req.method !== 'HEAD') res.write(bytes)
  else res.flushHeaders()
  drain(req, () => res.end())
}

function drain(req: Request, done: () => void): void {
  let size = 0
  const finish = () => {
    clearTimeout(timer)
    req.off('data', count).off('end', finish).off('close', finish).pause()
    done()
  }
  const count = (chunk: Uint8Array) => {
    size += chunk.length
    if (size > DRAIN_BYTES) finish()
  }
  const timer = setTimeout(finish, DRAIN_MILLISECONDS)
  req.on('error', () => undefined)
  req.on('data', count).once('end', finish).once('close', finish).resume()
}

/**
 * Sends bytes at the pace of the reader. Head and status are the caller's. When `bytes` throws, or the reader takes nothing
 * for `idleSeconds`, the connection is cut, so that what arrived cannot be taken for complete. `sent` is told of each chunk that
 * nobody reads any more.
 */
export async function sendStream(
  res: Response,
  bytes: Bytes,
  options: { idleSeconds: number; sent?: (chunk: Uint8Array) => void },
): Promise<void> {
  try {
    for await (const chunk of bytes) {
      if (res.destroyed) return
      const flushed = (error?: Error | null) => {
        if (!error) options.sent?.(chunk)
      }
      if (!res.write(chunk, flushed)) await drained(res, options.idleSeconds)
    }
    res.end()
  } catch (error) {
    res.destroy()
    throw error
  }
}

function drained(res: Response, idleSeconds: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = () => {
      clearTimeout(timer)
      res.off('drain', finish).off('close', finish)
      resolve()
    }
    const timer = setTimeout(() => {
      res.off('drain', finish).off('close', finish)
      reject(new CairnError('BODY_STALLED', `the reader took nothing for ${idleSeconds} s`))
    }, idleSeconds * 1000)
    res.once('drain', finish).once('close', finish)
  })
}
