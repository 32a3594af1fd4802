import { type ObjectAnswer, DIGESTS_TYPE, MAX_DIGESTS, PACK_TYPE, missingAnswer, objectAnswer } from '@cairn/protocol/api'
import { type Digest, isTree, parseDigest, unpackDigests } from '@cairn/protocol/digest'
import { MAX_PACK_MEMBERS } from '@cairn/protocol/pack'
import { z } from 'zod'
import { fetchObjects } from '../../domain/fetch.ts'
import { findObject, storeObject } from '../../domain/objects.ts'
import { findMissing } from '../../domain/sessions.ts'
import { storeTree } from '../../domain/trees.ts'
import { answerBytes, answerJson, sendStream } from '../answer.ts'
import { withDigests, withPackedDigests } from '../digest-list.ts'
import { type Call, type Route, route } from '../handler.ts'
import { renewSession, sessionQuery } from '../push-session.ts'
import { sendObject } from '../send-object.ts'
import { STREAM_BYTES, takeBody } from '../take-body.ts'
import { readTreeBytes } from '../tree-body.ts'

const BASE = '/api/v1/projects/:project'
const missingQuery = z.object({ session: z.uuid().optional(), intent: z.enum(['push', 'pull']).default('push') })
const DIGEST_LIST = { type: DIGESTS_TYPE, description: 'Packed digests of 17 bytes each, or JSON {"digests": […]}' }
const FETCH_MEMORY = 8 * 1024 * 1024

export const objectRoutes: Route[] = [
  route({
    method: 'post',
    path: `${BASE}/objects/missing`,
    summary: 'Which of these objects the project lacks; the others stay present while the session lives',
    access: { kind: 'project', scope: (query) => (query.intent === 'pull' ? 'read' : 'write') },
    query: missingQuery as z.ZodType<z.infer<typeof missingQuery>>,
    rawBody: DIGEST_LIST,
    answers: {
      200: {
        schema: missingAnswer,
        raw: { type: DIGESTS_TYPE, description: 'The missing ones, packed, when asked for by Accept' },
        description: 'In the order asked',
      },
    },
    errors: ['BAD_REQUEST', 'BAD_DIGEST', 'SESSION_UNKNOWN', 'BODY_TOO_LARGE', 'OVERLOADED'],
    handle: answerMissing,
  }),
  route({
    method: 'post',
    path: `${BASE}/objects/fetch`,
    summary: 'Many objects as one pack, in the order that storage is read best',
    access: { kind: 'project', scope: 'read' },
    rawBody: DIGEST_LIST,
    answers: {
      200: {
        raw: { type: PACK_TYPE, description: 'A pack' },
        description: 'Unknown objects are records of type 2; what is too large for a pack is left out',
      },
    },
    errors: ['BAD_REQUEST', 'BAD_DIGEST', 'OVERLOADED'],
    async handle({ context, req, res, project, signal }) {
      const digests = await withDigests(context, req, { max: MAX_PACK_MEMBERS, signal }, (list) => Promise.resolve(list))
      const release = await context.admission.enter(FETCH_MEMORY, { wait: false, signal })
      try {
        res.setHeader('Content-Type', PACK_TYPE)
        await sendStream(res, fetchObjects(context.stores, project, digests, signal), {
          idleSeconds: context.limits.bodyIdleSeconds,
        })
      } finally {
        release()
      }
    },
  }),
  route({
    method: 'put',
    path: `${BASE}/objects/:digest`,
    summary: 'Send one object',
    access: { kind: 'project', scope: 'write' },
    query: sessionQuery,
    rawBody: { type: 'application/octet-stream', description: 'The object' },
    answers: { 200: { schema: objectAnswer, description: 'It was here' }, 201: { schema: objectAnswer, description: 'Stored' } },
    errors: [
      'BAD_DIGEST',
      'SESSION_UNKNOWN',
      'DIGEST_MISMATCH',
      'DIGEST_CONFLICT',
      'BAD_TREE',
      'TREE_INCOMPLETE',
      'BODY_TOO_LARGE',
      'BODY_TOO_SHORT',
      'BODY_STALLED',
      'STORAGE_FULL',
      'OVERLOADED',
    ],
    async handle(call) {
      const digest = parseDigest(call.param('digest'))
      await renewSession(call, call.query.session)
      const answer = isTree(digest) ? await putTree(call, digest) : await putFile(call, digest)
      answerJson(call.req, call.res, answer.outcome === 'stored' ? 201 : 200, answer)
    },
  }),
  route({
    method: 'get',
    path: `${BASE}/objects/:digest`,
    summary: 'One object, whole or one range',
    access: { kind: 'project', scope: 'read' },
    answers: {
      200: { raw: { type: 'application/octet-stream', description: 'The object' }, description: 'Whole' },
      206: { raw: { type: 'application/octet-stream', description: 'A part of it' }, description: 'The range asked for' },
      304: { description: 'If-None-Match named it' },
    },
    errors: ['BAD_DIGEST', 'OBJECT_UNKNOWN', 'OBJECT_DAMAGED', 'RANGE_NOT_SATISFIABLE', 'OVERLOADED'],
    async handle({ context, req, res, project, signal, param }) {
      const row = await findObject(context.stores, project, parseDigest(param('digest')))
      if (req.headers['if-none-match'] === `"${param('digest').replace(/^legacy-|\.dir$/g, '')}"`) {
        res.statusCode = 304
        res.end()
        return
      }
      await sendObject(context, req, res, { project, row, stock: false, signal })
    },
  }),
]

type ProjectCall<Q> = Call<Q, undefined>

async function answerMissing(call: ProjectCall<z.infer<typeof missingQuery>>): Promise<void> {
  const { context, req, res, project, query, principal, signal } = call
  await withPackedDigests(context, req, { max: MAX_DIGESTS, signal }, async (packed) => {
    const asked = { tokenId: principal.token.id, session: query.session, intent: query.intent }
    const { session, missing } = await findMissing(context.stores, project, packed, asked)
    const expiresAt = session.expiresAt.toISOString()
    if (!req.headers.accept?.includes(DIGESTS_TYPE))
      return answerJson(req, res, 200, { session: session.id, expiresAt, missing: unpackDigests(missing) })
    res.setHeader('Content-Type', DIGESTS_TYPE)
    res.setHeader('Cairn-Session', session.id)
    res.setHeader('Cairn-Session-Expires', expiresAt)
    answerBytes(req, res, 200, missing)
  })
}

async function putTree(call: ProjectCall<{ session?: string | undefined }>, digest: Digest): Promise<ObjectAnswer> {
  const { context, req, res, project, signal } = call
  const read = () => readTreeBytes(context, req, res, signal)
  const { outcome, size } = await storeTree(context.stores, project, { digest, read, signal })
  return { digest, size, outcome }
}

function putFile(call: ProjectCall<{ session?: string | undefined }>, digest: Digest): Promise<ObjectAnswer> {
  const { context, req, project, signal } = call
  const limit = context.limits.objectBytes
  return takeBody(context, req, { limit, memory: STREAM_BYTES, wait: false, signal }, (bytes, size) =>
    storeObject(context.stores, project, { digest, bytes, size, limit, signal }),
  )
}
