import {
  directCommitAnswer,
  directCommitRequest,
  directGetAnswer,
  directGetRequest,
  directPutAnswer,
  directPutRequest,
} from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import { commitUploads, type DirectOffer, offerDownloads, offerUploads } from '../../domain/direct.ts'
import { answerJson } from '../answer.ts'
import type { HttpContext } from '../context.ts'
import { type Route, route } from '../handler.ts'
import { renewSession, sessionQuery } from '../push-session.ts'

const PATH = '/api/v1/projects/:project/objects/direct'

export const directRoutes: Route[] = [
  route({
    method: 'post',
    path: `${PATH}/put`,
    summary: 'URLs to store objects straight into the bucket, each good for these very bytes',
    access: { kind: 'project', scope: 'write' },
    query: sessionQuery,
    body: directPutRequest,
    answers: { 200: { schema: directPutAnswer, description: 'Objects that are present by now are left out' } },
    errors: ['BAD_REQUEST', 'BAD_DIGEST', 'BODY_TOO_LARGE', 'SESSION_UNKNOWN', 'NOT_FOUND'],
    async handle(call) {
      const { context, req, res, project, body } = call
      const { challenge } = requireOffer(context, 'put')
      await renewSession(call, call.query.session)
      const limit = context.limits.objectBytes
      answerJson(req, res, 200, await offerUploads(context.stores, project, body.objects, { challenge, limit }))
    },
  }),
  route({
    method: 'post',
    path: `${PATH}/commit`,
    summary: 'Link what was stored straight into the bucket',
    access: { kind: 'project', scope: 'write' },
    query: sessionQuery,
    body: directCommitRequest,
    answers: { 200: { schema: directCommitAnswer, description: 'In the order asked' } },
    errors: ['BAD_REQUEST', 'UPLOAD_UNKNOWN', 'UPLOAD_INCOMPLETE', 'DIGEST_CONFLICT', 'SESSION_UNKNOWN', 'STORAGE_FAILED'],
    async handle(call) {
      const { context, req, res, project, body } = call
      await renewSession(call, call.query.session)
      answerJson(req, res, 200, { objects: await commitUploads(context.stores, project, body.uploads) })
    },
  }),
  route({
    method: 'post',
    path: `${PATH}/get`,
    summary: 'URLs to read objects straight from the bucket',
    access: { kind: 'project', scope: 'read' },
    body: directGetRequest,
    answers: {
      200: { schema: directGetAnswer, description: 'In the order asked; one that shares its blob with others has no URL' },
    },
    errors: ['BAD_REQUEST', 'BAD_DIGEST', 'OBJECT_UNKNOWN', 'NOT_FOUND'],
    async handle({ context, req, res, project, body }) {
      const { challenge } = requireOffer(context, 'get')
      answerJson(req, res, 200, await offerDownloads(context.stores, project, body.digests, challenge))
    },
  }),
]

function requireOffer({ direct }: HttpContext, way: 'put' | 'get'): DirectOffer {
  const offer = direct()
  if (offer?.[way]) return offer
  throw new CairnError('NOT_FOUND', 'nothing goes straight to or from the bucket here', {
    hint: 'Send and fetch objects through the server.',
  })
}
