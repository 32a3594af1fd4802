import { commitAnswer, commitRequest } from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import { z } from 'zod'
import { commitSession } from '../../domain/sessions.ts'
import { answerJson } from '../answer.ts'
import { type Route, route } from '../handler.ts'
import { withPulse } from '../pulse.ts'

export const sessionRoutes: Route[] = [
  route({
    method: 'post',
    path: '/api/v1/projects/:project/sessions/:id/commit',
    summary: 'Link the trees of a push, now that their entries are here',
    access: { kind: 'project', scope: 'write' },
    body: commitRequest,
    answers: { 200: { schema: commitAnswer, description: 'The roots that were linked by this; the others were present before' } },
    errors: ['BAD_REQUEST', 'SESSION_UNKNOWN', 'TREE_INCOMPLETE'],
    async handle({ context, req, res, project, body, signal, param }) {
      const id = z.uuid().safeParse(param('id'))
      if (!id.success) throw new CairnError('SESSION_UNKNOWN', 'that is no session')
      const linked = await withPulse(res, () => commitSession(context.stores, project, id.data, body.roots, signal))
      answerJson(req, res, 200, { linked })
    },
  }),
]
