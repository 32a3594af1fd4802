import { isCode } from '@cairn/protocol/error'
import { z } from 'zod'
import { answerBytes, answerJson } from '../answer.ts'
import type { HttpContext } from '../context.ts'
import { type Route, route } from '../handler.ts'

const CHECK_MILLISECONDS = 3000
const readiness = z.object({ ready: z.boolean(), database: z.string(), blobs: z.string() })

export const healthRoutes: Route[] = [
  route({
    method: 'get',
    path: '/livez',
    summary: 'Answers while the server runs',
    access: { kind: 'open' },
    answers: { 200: { raw: { type: 'text/plain', description: 'ok' }, description: 'Alive' } },
    errors: [],
    quiet: true,
    handle({ req, res }) {
      res.setHeader('Content-Type', 'text/plain')
      answerBytes(req, res, 200, Buffer.from('ok\n'))
      return Promise.resolve()
    },
  }),
  route({
    method: 'get',
    path: '/readyz',
    summary: 'Whether the database and the blob store answer',
    access: { kind: 'open' },
    answers: { 200: { schema: readiness, description: 'Ready' }, 503: { schema: readiness, description: 'Not ready, and why' } },
    errors: [],
    quiet: true,
    async handle({ context, req, res }) {
      const signal = AbortSignal.timeout(CHECK_MILLISECONDS)
      const [database, blobs] = await Promise.all([check(context.stores.catalog, signal), check(context.stores.blobs, signal)])
      const ready = database === 'ok' && blobs === 'ok' && !context.stopping()
      answerJson(req, res, ready ? 200 : 503, { ready, database, blobs, ...(context.stopping() ? { stopping: true } : {}) })
    },
  }),
  route({
    method: 'get',
    path: '/metrics',
    summary: 'Prometheus metrics',
    access: { kind: 'open' },
    answers: { 200: { raw: { type: 'text/plain', description: 'Prometheus text' }, description: 'The metrics' } },
    errors: [],
    quiet: true,
    async handle({ context, req, res }) {
      const { registry } = context.metrics
      res.setHeader('Content-Type', registry.contentType)
      answerBytes(req, res, 200, Buffer.from(await registry.metrics()))
    },
  }),
]

async function check(part: Pick<HttpContext['stores']['blobs'], 'check'>, signal: AbortSignal): Promise<string> {
  try {
    await part.check(signal)
    return 'ok'
  } catch (error) {
    return isCode(error, 'STORAGE_FAILED') && error instanceof Error ? error.message : 'no answer'
  }
}
