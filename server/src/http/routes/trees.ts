import { createGzip, gzip } from 'node:zlib'
import { promisify } from 'node:util'
import { digestSchema, DIGESTS_TYPE, treeAnswer } from '@cairn/protocol/api'
import { type Digest, isTree, parseDigest } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { MAX_TREE_BASES, TREE_DELTA_TYPE } from '@cairn/protocol/limits'
import { z } from 'zod'
import { findObject, findRow, readObject } from '../../domain/objects.ts'
import type { ObjectRow } from '../../domain/ports/catalog.ts'
import { ensureSession } from '../../domain/sessions.ts'
import { findTreeDelta, rebuildTree, type RebuiltTree } from '../../domain/tree-deltas.ts'
import { storeTree } from '../../domain/trees.ts'
import { answerBytes, answerJson, sendStream } from '../answer.ts'
import { type Call, type Route, route } from '../handler.ts'
import { withPulse } from '../pulse.ts'
import { through } from '../through.ts'
import { readTreeBytes, readTreeDelta } from '../tree-body.ts'

const compress = promisify(gzip)
/** Listings are half hex digits, which the fast levels press as well as the slow ones. */
const FAST = { level: 1 }
/** Below, gzip gains nothing. */
const WORTH_GZIP_BYTES = 1024
/** Pieces of two trees, and what differs. */
const DELTA_MEMORY = 8 * 1024 * 1024

const sendQuery = z.object({ digest: digestSchema, base: digestSchema.optional(), session: z.uuid().optional() })
const getQuery = z.object({
  base: z
    .string()
    .max(64 * MAX_TREE_BASES)
    .optional(),
})

export const treeRoutes: Route[] = [
  route({
    method: 'post',
    path: '/api/v1/projects/:project/trees',
    summary: 'Send a tree, whole or as the difference to one that is here, and learn which of its entries the project lacks',
    access: { kind: 'project', scope: 'write' },
    query: sendQuery as z.ZodType<z.infer<typeof sendQuery>>,
    rawBody: {
      type: 'application/json',
      description: `The tree's exact bytes, or with \`base\` ${TREE_DELTA_TYPE}; gzip of them with Content-Encoding: gzip`,
    },
    answers: {
      200: {
        schema: treeAnswer,
        raw: { type: DIGESTS_TYPE, description: 'The missing entries, packed, when asked for by Accept' },
        description: 'Linked, or waiting in the session for its entries',
      },
    },
    errors: [
      'BAD_REQUEST',
      'BAD_TREE',
      'BAD_DELTA',
      'BASE_UNKNOWN',
      'DIGEST_MISMATCH',
      'DIGEST_CONFLICT',
      'SESSION_UNKNOWN',
      'BODY_TOO_LARGE',
      'BODY_TOO_SHORT',
      'BODY_STALLED',
      'OVERLOADED',
    ],
    handle: takeTree,
  }),
  route({
    method: 'get',
    path: '/api/v1/projects/:project/trees/:digest',
    summary: 'A tree, as the difference to one that the asker has where that is shorter',
    access: { kind: 'project', scope: 'read' },
    query: getQuery as z.ZodType<z.infer<typeof getQuery>>,
    answers: {
      200: {
        raw: {
          type: TREE_DELTA_TYPE,
          description: 'The difference to the tree that Cairn-Base names; or else the tree, application/json',
        },
        description: 'Whole, or a difference',
      },
    },
    errors: ['BAD_REQUEST', 'BAD_DIGEST', 'OBJECT_UNKNOWN', 'OBJECT_DAMAGED', 'OVERLOADED'],
    handle: giveTree,
  }),
]

async function takeTree(call: Call<z.infer<typeof sendQuery>, undefined>): Promise<void> {
  const { context, req, res, project, principal, query, signal } = call
  const { digest, base } = query
  requireTree(digest)
  const session = await ensureSession(context.stores, project, {
    tokenId: principal.token.id,
    session: query.session,
    intent: 'push',
  })
  const read = base === undefined ? () => readTreeBytes(context, req, res, signal) : () => readRebuilt(call, base)
  const { linked, missing } = await withPulse(res, () =>
    storeTree(context.stores, project, { digest, read, session: session.id, signal }),
  )
  const expiresAt = session.expiresAt.toISOString()
  if (!req.headers.accept?.includes(DIGESTS_TYPE))
    return answerJson(req, res, 200, { session: session.id, expiresAt, linked, missing: missing.digests() })
  res.setHeader('Content-Type', DIGESTS_TYPE)
  res.setHeader('Cairn-Session', session.id)
  res.setHeader('Cairn-Session-Expires', expiresAt)
  res.setHeader('Cairn-Linked', String(linked))
  answerBytes(req, res, 200, missing.packed())
}

async function readRebuilt(call: Call<unknown, undefined>, base: Digest): Promise<RebuiltTree> {
  const { context, req, res, project, signal } = call
  const standing = await findRow(context.stores, project.id, base)
  const delta = await readTreeDelta(context, req, res, { baseBytes: standing?.size ?? 0, signal })
  return rebuildTree(context.stores, project, { base, delta, signal })
}

async function giveTree({
  context,
  req,
  res,
  project,
  query,
  signal,
  param,
}: Call<z.infer<typeof getQuery>, undefined>): Promise<void> {
  const digest = parseDigest(param('digest'))
  requireTree(digest)
  const bases = query.base === undefined ? [] : query.base.split(',').map(parseDigest)
  if (bases.length > MAX_TREE_BASES)
    throw new CairnError('BAD_REQUEST', `${bases.length} bases at once; at most ${MAX_TREE_BASES} are accepted`)
  const row = await findObject(context.stores, project, digest)
  res.setHeader('Cache-Control', 'private, no-transform')
  const release = await context.admission.enter(DELTA_MEMORY, { wait: false, signal })
  try {
    const found = await withPulse(res, () => findTreeDelta(context.stores, project, row, { bases, signal }))
    const packs = req.headers['accept-encoding']?.includes('gzip') === true
    if (found === undefined) return await sendWhole({ context, res, project, signal }, row, packs)
    res.setHeader('Content-Type', TREE_DELTA_TYPE)
    res.setHeader('Cairn-Base', found.base)
    const worth = packs && found.delta.length >= WORTH_GZIP_BYTES
    if (worth) res.setHeader('Content-Encoding', 'gzip')
    answerBytes(req, res, 200, worth ? await compress(found.delta, FAST) : found.delta)
  } finally {
    release()
  }
}

async function sendWhole(
  { context, res, project, signal }: Pick<Call<unknown, undefined>, 'context' | 'res' | 'project' | 'signal'>,
  row: ObjectRow,
  packs: boolean,
): Promise<void> {
  const bytes = readObject(context.stores, project.id, row, { signal })
  res.setHeader('Content-Type', 'application/json')
  if (packs) res.setHeader('Content-Encoding', 'gzip')
  else res.setHeader('Content-Length', row.size)
  await sendStream(res, packs ? through(bytes, createGzip(FAST)) : bytes, { idleSeconds: context.limits.bodyIdleSeconds })
}

function requireTree(digest: Digest): void {
  if (!isTree(digest)) throw new CairnError('BAD_REQUEST', `${digest} names no tree`, { hint: 'A tree ends in .dir.' })
}
