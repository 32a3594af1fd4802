import { auditList } from '@cairn/protocol/api'
import { z } from 'zod'
import { answerJson } from '../answer.ts'
import { type Route, route } from '../handler.ts'

const auditQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  before: z.coerce.number().int().positive().optional(),
})

export const auditRoutes: Route[] = [
  route({
    method: 'get',
    path: '/api/v1/audit',
    summary: 'Who did what, the newest first; `before` pages on',
    access: { kind: 'admin' },
    query: auditQuery as z.ZodType<z.infer<typeof auditQuery>>,
    answers: { 200: { schema: auditList, description: 'Events with an id below `before`' } },
    errors: ['BAD_REQUEST'],
    async handle({ context, req, res, query }) {
      const rows = await context.stores.catalog.listAudit(query)
      answerJson(req, res, 200, { events: rows.map((row) => ({ ...row, at: row.at.toISOString() })) })
    },
  }),
]
