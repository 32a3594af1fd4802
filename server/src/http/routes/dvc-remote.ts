import { isUtf8 } from 'node:buffer'
import type { Request, Response } from 'express'
import { API_VERSION, MAX_DIGESTS, MAX_TREE_BYTES, remoteInfo, type RemoteInfo, slugSchema } from '@cairn/protocol/api'
import { type Digest, digestOfPath, isTree } from '@cairn/protocol/digest'
import { CairnError, isCode } from '@cairn/protocol/error'
import { MAX_MEMBER_BYTES, MAX_PACK_MEMBERS, PACK_TARGET_BYTES } from '@cairn/protocol/pack'
import { MAX_RUN_BYTES, type RunName, runOfPath } from '@cairn/protocol/run-name'
import { allows } from '@cairn/protocol/scope'
import { findObject, findRow, isPresent, storeObject, unknownObject } from '../../domain/objects.ts'
import type { ProjectRow } from '../../domain/ports/catalog.ts'
import { type Principal, requireScope } from '../../domain/principal.ts'
import { findProject } from '../../domain/projects.ts'
import { storeTree } from '../../domain/trees.ts'
import { answerBytes, answerJson } from '../answer.ts'
import { readWhole } from '../body.ts'
import type { HttpContext } from '../context.ts'
import { goneSignal, identify, type Route, route } from '../handler.ts'
import { redirect, redirectOf } from '../redirect.ts'
import { sendObject } from '../send-object.ts'
import { STREAM_BYTES, takeBody } from '../take-body.ts'
import { readTreeBytes } from '../tree-body.ts'

/** Bodies that one client should have under way: enough to hide the latency, few enough for ten clients at once. */
const PARALLEL = 4

/**
 * The remote of a stock client: `/dvc/:project/files/md5/ab/cdef…[.dir]`, `/dvc/:project/ab/cdef…[.dir]` for legacy objects, and
 * `/dvc/:project/runs/…` for the run cache, which only a client that was taught to asks an HTTP remote for. It knows GET, HEAD,
 * POST and PUT, takes every status below 400 for success, and most others for "missing".
 */
export const dvcRemoteRoutes: Route[] = [
  route({
    method: 'get',
    path: '/dvc/:project/.well-known/cairn',
    summary: 'Tells that a remote URL is a Cairn server, and where its API is',
    access: { kind: 'open' },
    answers: { 200: { schema: remoteInfo, description: 'The same for every name, so it tells nothing about projects' } },
    errors: [],
    handle({ context, req, res, param }) {
      const slug = slugSchema.safeParse(param('project'))
      if (!slug.success) throw new CairnError('NOT_FOUND', 'no such page')
      answerJson(req, res, 200, remoteInfoOf(context, slug.data))
      return Promise.resolve()
    },
  }),
]

function remoteInfoOf(context: HttpContext, project: string): RemoteInfo {
  return {
    server: 'cairn',
    version: context.version,
    api: API_VERSION,
    project,
    base: `/api/v1/projects/${project}`,
    limits: {
      packBytes: PACK_TARGET_BYTES,
      packMembers: MAX_PACK_MEMBERS,
      memberBytes: MAX_MEMBER_BYTES,
      treeBytes: Math.min(MAX_TREE_BYTES, context.limits.treeBytes),
      digests: MAX_DIGESTS,
      parallel: PARALLEL,
    },
    capabilities: [...context.capabilities],
  }
}

/** Everything else below `/dvc/:project`. */
export async function serveDvcRemote(context: HttpContext, req: Request, res: Response): Promise<void> {
  res.locals['route'] = '/dvc/:project/*'
  res.locals['quiet'] = true
  const principal = await identify(context, req, res)
  const project = await findProject(context.stores, principal, String(req.params['project']))
  const path = readPath(req)
  const digest = digestOfPath(path)
  const run = runOfPath(path)
  if (req.method === 'GET' || req.method === 'HEAD') {
    requireScope(principal, 'read')
    if (digest) await serveObject(context, req, res, { principal, project, digest })
    else if (run) await serveRun(context, req, res, { project, run })
    else answerPlace(req, res, path)
  } else if (req.method === 'POST' || req.method === 'PUT') {
    requireScope(principal, 'write')
    if (run) return takeRun(context, req, res, { principal, project, run })
    if (!digest) throw new CairnError('NOT_FOUND', 'no object has this path')
    await takeUpload(context, req, res, { principal, project, digest })
  } else {
    throw new CairnError('NOT_FOUND', 'a remote knows GET, HEAD, PUT and POST')
  }
}

function readPath(req: Request): string {
  const rest = req.params['path'] as unknown
  return Array.isArray(rest) ? rest.join('/') : String(rest ?? '')
}

/** A stock client looks at these two once a fetch, to see that the server is there. */
function answerPlace(req: Request, res: Response, path: string): void {
  if (path !== '' && path !== 'files/md5') throw new CairnError('NOT_FOUND', 'no object has this path')
  res.setHeader('Content-Type', 'text/plain; charset=utf-8')
  answerBytes(req, res, 200, Buffer.from('A DVC remote, served by Cairn.\n'))
}

async function serveObject(
  context: HttpContext,
  req: Request,
  res: Response,
  asked: { principal: Principal; project: ProjectRow; digest: Digest },
): Promise<void> {
  const { principal, project, digest } = asked
  try {
    const row = await findObject(context.stores, project, digest)
    // Its next push then sends the lost entry and the tree again; who only reads gets what is left.
    const mayPush = allows(principal.token.scopes, 'write')
    if (row.broken && mayPush) throw unknownObject(digest)
    if (mayPush) await context.stockLeases.hold(project, principal.token.id, row)
    const elsewhere = redirectOf(context, req, row)
    if (elsewhere !== undefined) return redirect(res, elsewhere)
    await sendObject(context, req, res, { project, row, stock: true, signal: goneSignal(res) })
  } catch (error) {
    // Whatever cannot be had is missing: the next push brings it again.
    if (isCode(error, 'OBJECT_DAMAGED') && !res.headersSent) throw unknownObject(digest)
    throw error
  }
}

async function serveRun(
  context: HttpContext,
  req: Request,
  res: Response,
  { project, run }: { project: ProjectRow; run: RunName },
): Promise<void> {
  const [found] = await context.stores.catalog.findRuns(project.id, [run], 1)
  if (!found) throw new CairnError('NOT_FOUND', 'no such run')
  res.setHeader('Content-Type', 'application/octet-stream')
  answerBytes(req, res, 200, found.entry)
}

async function takeRun(
  context: HttpContext,
  req: Request,
  res: Response,
  { principal, project, run }: { principal: Principal; project: ProjectRow; run: RunName },
): Promise<void> {
  const entry = await readWhole(req, { limit: MAX_RUN_BYTES, idleSeconds: context.limits.bodyIdleSeconds })
  if (!isUtf8(entry) || entry.length === 0) throw new CairnError('BAD_REQUEST', 'an entry of the run cache is a text')
  const added = await context.stores.catalog.addRuns(project.id, principal.token.id, [{ name: run, entry }])
  answerBytes(req, res, added > 0 ? 201 : 200, new Uint8Array())
}

/** An object that is known is answered at once: the client stops sending. Never redirected: some clients would follow with an empty body. */
async function takeUpload(
  context: HttpContext,
  req: Request,
  res: Response,
  asked: { principal: Principal; project: ProjectRow; digest: Digest },
): Promise<void> {
  const { principal, project, digest } = asked
  const signal = goneSignal(res)
  const standing = (await findRow(context.stores, project.id, digest)) ?? null
  if (standing && isPresent(standing)) {
    await context.stockLeases.hold(project, principal.token.id, standing)
    answerBytes(req, res, 200, new Uint8Array())
    return
  }
  if (isTree(digest)) {
    const read = () => readTreeBytes(context, req, res, signal)
    await storeTree(context.stores, project, { digest, read, signal })
  } else {
    const limit = context.limits.objectBytes
    await takeBody(context, req, { limit, memory: STREAM_BYTES, wait: true, signal }, (bytes, size) =>
      storeObject(context.stores, project, { digest, standing, bytes, size, limit, signal }),
    )
  }
  answerBytes(req, res, 201, new Uint8Array())
}
