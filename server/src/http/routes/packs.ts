import { PACK_TYPE, packAnswer } from '@cairn/protocol/api'
import { storePack } from '../../domain/packs.ts'
import { answerJson } from '../answer.ts'
import { type Route, route } from '../handler.ts'
import { renewSession, sessionQuery } from '../push-session.ts'
import { takeBody } from '../take-body.ts'

/** One member, the trees it may hold, its rows, and chunks on their way. */
const PACK_MEMORY = 8 * 1024 * 1024

export const packRoutes: Route[] = [
  route({
    method: 'post',
    path: '/api/v1/projects/:project/packs',
    summary: 'Send many small objects in one body',
    access: { kind: 'project', scope: 'write' },
    query: sessionQuery,
    rawBody: { type: PACK_TYPE, description: 'A pack' },
    answers: {
      200: { schema: packAnswer, description: 'What became of the members; a refused one does not keep the others out' },
    },
    errors: ['BAD_PACK', 'SESSION_UNKNOWN', 'BODY_TOO_LARGE', 'BODY_TOO_SHORT', 'BODY_STALLED', 'STORAGE_FULL', 'OVERLOADED'],
    async handle(call) {
      const { context, req, res, project, query, signal } = call
      await renewSession(call, query.session)
      const limit = context.limits.packBytes
      const answer = await takeBody(context, req, { limit, memory: PACK_MEMORY, wait: false, signal }, (bytes, size) =>
        storePack(context.stores, project, { bytes, size, signal }),
      )
      answerJson(req, res, 200, answer)
    },
  }),
]
