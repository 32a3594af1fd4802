import { type Job, job as jobSchema, jobList, jobRequest } from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import type { JobRow } from '../../domain/ports/job-queue.ts'
import { answerJson } from '../answer.ts'
import { type Route, route } from '../handler.ts'

const LISTED = 200

export const jobRoutes: Route[] = [
  route({
    method: 'get',
    path: '/api/v1/jobs',
    summary: `The last ${LISTED} jobs`,
    access: { kind: 'admin' },
    answers: { 200: { schema: jobList, description: 'The newest first' } },
    errors: [],
    async handle({ context, req, res }) {
      answerJson(req, res, 200, { jobs: (await context.jobs.list(LISTED)).map(describeJob) })
    },
  }),
  route({
    method: 'get',
    path: '/api/v1/jobs/:id',
    summary: 'One job and how far it is',
    access: { kind: 'admin' },
    answers: { 200: { schema: jobSchema, description: 'The job' } },
    errors: ['NOT_FOUND'],
    async handle({ context, req, res, param }) {
      const row = await context.jobs.find(param('id'))
      if (!row) throw new CairnError('NOT_FOUND', 'no such job')
      answerJson(req, res, 200, describeJob(row))
    },
  }),
  route({
    method: 'post',
    path: '/api/v1/jobs',
    summary: 'Run a job now; one of its type that stands already is answered instead',
    access: { kind: 'admin' },
    body: jobRequest,
    answers: { 202: { schema: jobSchema, description: 'Queued' } },
    errors: ['BAD_REQUEST'],
    async handle({ context, req, res, principal, body }) {
      const id = await context.jobs.enqueue(body.type, { key: 'asked' })
      await context.stores.catalog.audit({ action: 'job.asked', tokenId: principal.token.id, detail: { type: body.type, id } })
      const row = await context.jobs.find(id)
      if (!row) throw new CairnError('NOT_FOUND', 'the job is over and its record gone')
      answerJson(req, res, 202, describeJob(row))
    },
  }),
]

function describeJob(row: JobRow): Job {
  const { id, type, state, attempt, progress, error } = row
  return {
    id,
    type,
    state,
    attempt,
    createdAt: row.createdAt.toISOString(),
    finishedAt: row.finishedAt?.toISOString() ?? null,
    progress,
    error,
  }
}
