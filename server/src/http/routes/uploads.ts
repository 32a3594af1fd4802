import { completingAnswer, objectAnswer, partAnswer, standingUpload, uploadAnswer, uploadRequest } from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import { answerBytes, answerJson } from '../answer.ts'
import { announcedLength } from '../body.ts'
import { type Call, type Route, route } from '../handler.ts'
import { renewSession, sessionQuery } from '../push-session.ts'
import { STREAM_BYTES, takeBody } from '../take-body.ts'

const BASE = '/api/v1/projects/:project/uploads'
/** A client asks again after this long, so that none waits in silence for minutes. */
const PATIENCE_MS = 20_000

export const uploadRoutes: Route[] = [
  route({
    method: 'post',
    path: BASE,
    summary: 'Begin to send a large object in parts, or go on with it',
    access: { kind: 'project', scope: 'write' },
    body: uploadRequest,
    answers: { 200: { schema: uploadAnswer, description: 'The upload, and which of its parts are here' } },
    errors: ['BAD_REQUEST', 'SESSION_UNKNOWN', 'BODY_TOO_LARGE', 'UPLOADS_FULL', 'STORAGE_FULL'],
    async handle(call) {
      const { digest, size, session } = call.body
      await renewSession(call, session)
      answerJson(call.req, call.res, 200, await call.context.uploads.open(call.project, digest, size, call.signal))
    },
  }),
  route({
    method: 'get',
    path: `${BASE}/:id`,
    summary: 'Which parts of an upload are here',
    access: { kind: 'project', scope: 'write' },
    answers: { 200: { schema: standingUpload, description: 'The upload' } },
    errors: ['UPLOAD_UNKNOWN'],
    async handle({ context, req, res, project, param }) {
      answerJson(req, res, 200, await context.uploads.find(project, param('id')))
    },
  }),
  route({
    method: 'put',
    path: `${BASE}/:id/parts/:number`,
    summary: 'Send one part; one that is here already stays as it is',
    access: { kind: 'project', scope: 'write' },
    rawBody: {
      type: 'application/octet-stream',
      description: 'The part, of exactly its length. Content-MD5 is checked if given',
    },
    answers: { 200: { schema: partAnswer, description: 'It is durable' } },
    errors: [
      'BAD_REQUEST',
      'UPLOAD_UNKNOWN',
      'UPLOAD_BUSY',
      'DIGEST_MISMATCH',
      'BODY_TOO_LARGE',
      'BODY_TOO_SHORT',
      'BODY_STALLED',
      'STORAGE_FULL',
      'OVERLOADED',
    ],
    handle: takePart,
  }),
  route({
    method: 'post',
    path: `${BASE}/:id/complete`,
    summary: 'Verify an upload whose parts are all here, and make it an object',
    access: { kind: 'project', scope: 'write' },
    query: sessionQuery,
    answers: {
      200: { schema: objectAnswer, description: 'The object was here' },
      201: { schema: objectAnswer, description: 'Stored' },
      202: { schema: completingAnswer, description: 'The bytes are still being hashed: ask again' },
    },
    errors: ['UPLOAD_UNKNOWN', 'UPLOAD_INCOMPLETE', 'SESSION_UNKNOWN', 'DIGEST_MISMATCH', 'DIGEST_CONFLICT', 'STORAGE_FULL'],
    async handle(call) {
      const { context, req, res, project, query, param } = call
      await renewSession(call, query.session)
      const answer = await context.uploads.complete(project, param('id'), PATIENCE_MS)
      if (!answer) answerJson(req, res, 202, { upload: param('id'), state: 'verifying' })
      else answerJson(req, res, answer.outcome === 'stored' ? 201 : 200, answer)
    },
  }),
  route({
    method: 'delete',
    path: `${BASE}/:id`,
    summary: 'Give an upload up',
    access: { kind: 'project', scope: 'write' },
    answers: { 204: { description: 'It is gone' } },
    errors: ['UPLOAD_UNKNOWN', 'UPLOAD_BUSY'],
    async handle({ context, req, res, project, param }) {
      await context.uploads.cancel(project, param('id'))
      answerBytes(req, res, 204, Buffer.alloc(0))
    },
  }),
]

async function takePart({ context, req, res, project, signal, param }: Call<undefined, undefined>): Promise<void> {
  const number = /^\d{1,6}$/.test(param('number')) ? Number(param('number')) : -1
  const part = await context.uploads.findPart(project, param('id'), number)
  const announced = announcedLength(req)
  if (announced !== undefined && announced !== part.length)
    throw new CairnError('BAD_REQUEST', `part ${number} has ${part.length} bytes, and ${announced} are announced`)
  const md5 = readMd5(req.headers['content-md5'])
  const answer = await takeBody(context, req, { limit: part.length, memory: STREAM_BYTES, wait: false, signal }, (bytes) =>
    part.send({ bytes, md5, signal }),
  )
  answerJson(req, res, 200, answer)
}

function readMd5(header: string | string[] | undefined): Uint8Array | undefined {
  if (header === undefined) return undefined
  const md5 = Buffer.from(String(header), 'base64')
  if (md5.length !== 16) throw new CairnError('BAD_REQUEST', 'Content-MD5 is not the base64 of 16 bytes')
  return md5
}
