import { digestSchema, treeAnswer } from '@cairn/protocol/api'
import { isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { z } from 'zod'
import { ensureSession } from '../../domain/sessions.ts'
import { storeTree } from '../../domain/trees.ts'
import { answerJson } from '../answer.ts'
import { type Route, route } from '../handler.ts'
import { readTreeBytes } from '../tree-body.ts'

export const treeRoutes: Route[] = [
  route({
    method: 'post',
    path: '/api/v1/projects/:project/trees',
    summary: 'Send a tree and learn which of its entries the project lacks',
    access: { kind: 'project', scope: 'write' },
    query: z.object({ digest: digestSchema, session: z.uuid().optional() }),
    rawBody: { type: 'application/json', description: "The tree's exact bytes, or gzip of them with Content-Encoding: gzip" },
    answers: { 200: { schema: treeAnswer, description: 'Linked, or waiting in the session for its entries' } },
    errors: [
      'BAD_REQUEST',
      'BAD_TREE',
      'DIGEST_MISMATCH',
      'DIGEST_CONFLICT',
      'SESSION_UNKNOWN',
      'BODY_TOO_LARGE',
      'BODY_TOO_SHORT',
      'BODY_STALLED',
      'OVERLOADED',
    ],
    async handle({ context, req, res, project, principal, query, signal }) {
      const { digest } = query
      if (!isTree(digest)) throw new CairnError('BAD_REQUEST', `${digest} names no tree`, { hint: 'A tree ends in .dir.' })
      const session = await ensureSession(context.stores, project, {
        tokenId: principal.token.id,
        session: query.session,
        intent: 'push',
      })
      const read = () => readTreeBytes(context, req, res, signal)
      const { linked, missing } = await storeTree(context.stores, project, { digest, read, session: session.id, signal })
      answerJson(req, res, 200, { session: session.id, expiresAt: session.expiresAt.toISOString(), linked, missing })
    },
  }),
]
