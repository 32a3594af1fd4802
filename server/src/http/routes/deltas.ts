import { digestSchema, objectAnswer } from '@cairn/protocol/api'
import { MAX_DELTA_HEADER_BYTES } from '@cairn/protocol/delta'
import { parseDigest } from '@cairn/protocol/digest'
import { CHUNKS_TYPE, DELTA_TYPE, DIGESTS_TYPE } from '@cairn/protocol/limits'
import { z } from 'zod'
import { chunkList } from '../../domain/chunk-lists.ts'
import { storeDelta } from '../../domain/deltas.ts'
import { findDifference } from '../../domain/difference.ts'
import { findObject } from '../../domain/objects.ts'
import { answerBytes, answerJson, sendStream } from '../answer.ts'
import { withDigests } from '../digest-list.ts'
import { type Route, route } from '../handler.ts'
import { inTurn } from '../in-turn.ts'
import { renewSession } from '../push-session.ts'
import { takeBody } from '../take-body.ts'

const BASE = '/api/v1/projects/:project'
/** Recipes, and chunks on their way from storage and back. */
const DELTA_MEMORY = 8 * 1024 * 1024
/** What a client names to have something in common with. */
const MAX_HAVE = 64

export const deltaRoutes: Route[] = [
  route({
    method: 'post',
    path: `${BASE}/deltas`,
    summary: 'Send a large object as a difference to others of the project',
    access: { kind: 'project', scope: 'write' },
    query: z.object({ digest: digestSchema, session: z.uuid().optional() }),
    rawBody: { type: DELTA_TYPE, description: 'A delta; its bases are digests' },
    answers: { 200: { schema: objectAnswer, description: 'It was here' }, 201: { schema: objectAnswer, description: 'Stored' } },
    errors: [
      'BAD_DELTA',
      'BASE_UNKNOWN',
      'SESSION_UNKNOWN',
      'DIGEST_MISMATCH',
      'DIGEST_CONFLICT',
      'BODY_TOO_LARGE',
      'BODY_TOO_SHORT',
      'BODY_STALLED',
      'STORAGE_FULL',
      'OVERLOADED',
    ],
    async handle(call) {
      const { context, req, res, project, query, signal } = call
      const { digest, session } = query
      await renewSession(call, session)
      const limit = context.limits.objectBytes
      const taken = { limit: limit + MAX_DELTA_HEADER_BYTES, memory: DELTA_MEMORY, wait: false, signal }
      const answer = await inTurn(context, res, signal, () =>
        takeBody(context, req, taken, (bytes) => storeDelta(context.stores, project, { digest, bytes, limit, signal })),
      )
      answerJson(req, res, answer.outcome === 'stored' ? 201 : 200, answer)
    },
  }),
  route({
    method: 'post',
    path: `${BASE}/deltas/fetch`,
    summary: 'One object as a difference to others that the client has',
    access: { kind: 'project', scope: 'read' },
    query: z.object({ digest: digestSchema }),
    rawBody: { type: DIGESTS_TYPE, description: `Packed digests of what the client has, at most ${MAX_HAVE}` },
    answers: {
      200: { raw: { type: DELTA_TYPE, description: 'A delta; its bases are digests' }, description: 'The difference' },
      204: { description: 'They have too little in common, as far as the server knows' },
    },
    errors: ['BAD_REQUEST', 'BAD_DIGEST', 'OBJECT_UNKNOWN', 'OBJECT_DAMAGED', 'OVERLOADED'],
    async handle({ context, req, res, project, query, signal }) {
      const have = await withDigests(context, req, { max: MAX_HAVE, signal }, (list) => Promise.resolve(list))
      const row = await findObject(context.stores, project, query.digest)
      const release = await context.admission.enter(DELTA_MEMORY, { wait: false, signal })
      try {
        const difference = await findDifference(context.stores, project, row, { have, signal })
        if (!difference) return answerBytes(req, res, 204, new Uint8Array())
        res.setHeader('Content-Type', DELTA_TYPE)
        res.setHeader('Content-Length', difference.size)
        await sendStream(res, difference.bytes, { idleSeconds: context.limits.bodyIdleSeconds })
      } finally {
        release()
      }
    },
  }),
  route({
    method: 'get',
    path: `${BASE}/objects/:digest/chunks`,
    summary: 'The content-defined chunks of a large object',
    access: { kind: 'project', scope: 'read' },
    answers: { 200: { raw: { type: CHUNKS_TYPE, description: 'A packed list of chunks' }, description: 'In order' } },
    errors: ['BAD_REQUEST', 'BAD_DIGEST', 'OBJECT_UNKNOWN', 'OBJECT_DAMAGED', 'OVERLOADED'],
    async handle({ context, req, res, project, signal, param }) {
      const row = await findObject(context.stores, project, parseDigest(param('digest')))
      const packed = await inTurn(context, res, signal, () => chunkList(context.stores, project, row, signal))
      res.setHeader('Content-Type', CHUNKS_TYPE)
      answerBytes(req, res, 200, packed)
    },
  }),
]
