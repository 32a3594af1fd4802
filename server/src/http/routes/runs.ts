import { runList, runNameSchema, runsAnswer, runsFetchAnswer, runsFetchRequest, runsRequest } from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import { MAX_RUN_BYTES, MAX_RUN_NAMES, RUN_BODY_BYTES } from '@cairn/protocol/run-name'
import { z } from 'zod'
import { answerJson } from '../answer.ts'
import { type Route, route } from '../handler.ts'

const listQuery = z.object({ after: runNameSchema.optional() })

/** The run cache: small texts by name, which are there for good once they are there. */
export const runRoutes: Route[] = [
  route({
    method: 'get',
    path: '/api/v1/projects/:project/runs',
    summary: "Names of the run cache's entries, in their order",
    access: { kind: 'project', scope: 'read' },
    query: listQuery as z.ZodType<z.infer<typeof listQuery>>,
    answers: { 200: { schema: runList, description: 'A page of them' } },
    errors: ['BAD_REQUEST'],
    async handle({ context, req, res, project, query }) {
      const runs = await context.stores.catalog.listRuns(project.id, query.after, MAX_RUN_NAMES)
      answerJson(req, res, 200, { runs, next: runs.length < MAX_RUN_NAMES ? null : runs.at(-1) })
    },
  }),
  route({
    method: 'post',
    path: '/api/v1/projects/:project/runs',
    summary: 'Send entries of the run cache',
    access: { kind: 'project', scope: 'write' },
    body: runsRequest,
    answers: { 200: { schema: runsAnswer, description: 'How many were new' } },
    errors: ['BAD_REQUEST', 'BODY_TOO_LARGE'],
    async handle({ context, req, res, project, principal, body }) {
      const runs = body.runs.map(({ name, entry }) => ({ name, entry: Buffer.from(entry) }))
      const long = runs.find((run) => run.entry.length > MAX_RUN_BYTES)
      if (long) throw new CairnError('BODY_TOO_LARGE', `the run ${long.name} has more than ${MAX_RUN_BYTES} bytes`)
      const stored = await context.stores.catalog.addRuns(project.id, principal.token.id, runs)
      answerJson(req, res, 200, { stored, exists: runs.length - stored })
    },
  }),
  route({
    method: 'post',
    path: '/api/v1/projects/:project/runs/fetch',
    summary: 'Entries of the run cache, as many of those asked for as one answer takes',
    access: { kind: 'project', scope: 'read' },
    body: runsFetchRequest,
    answers: { 200: { schema: runsFetchAnswer, description: 'Those that are there; the others may be asked for again' } },
    errors: ['BAD_REQUEST'],
    async handle({ context, req, res, project, body }) {
      const rows = await context.stores.catalog.findRuns(project.id, body.runs, RUN_BODY_BYTES)
      answerJson(req, res, 200, { runs: rows.map(({ name, entry }) => ({ name, entry: Buffer.from(entry).toString('utf8') })) })
    },
  }),
]
