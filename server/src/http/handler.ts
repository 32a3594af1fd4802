import type { Request, Response } from 'express'
import type { Scope } from '@cairn/protocol/scope'
import { CairnError, type ErrorCode } from '@cairn/protocol/error'
import type { z } from 'zod'
import type { ProjectRow } from '../domain/ports/catalog.ts'
import { type Principal, requireScope, requireServerAdmin } from '../domain/principal.ts'
import { findProject } from '../domain/projects.ts'
import { authenticate } from './authenticate.ts'
import { readWhole } from './body.ts'
import type { HttpContext } from './context.ts'

export type Method = 'get' | 'put' | 'post' | 'delete'

/** Who may ask. `project`: the token must reach the path's project. `admin`: it must have that scope over all projects. */
export type Access<Q> =
  | { kind: 'open' }
  | { kind: 'token'; scope?: Scope }
  | { kind: 'admin' }
  | { kind: 'project'; scope: Scope | ((query: Q) => Scope) }

/** A content type that is no JSON, for the document. */
export interface RawContent {
  type: string
  description: string
}

/** One kind of request: enough to check it, to answer it and to describe it. */
export interface Definition<Q, B> {
  method: Method
  /** As Express writes it: `/api/v1/projects/:project`. */
  path: string
  summary: string
  access: Access<Q>
  query?: z.ZodType<Q>
  /** A JSON body. Routes that stream leave it out and name `rawBody`. */
  body?: z.ZodType<B>
  rawBody?: RawContent
  answers: Readonly<Record<number, { schema?: z.ZodType; raw?: RawContent; description: string }>>
  errors: readonly ErrorCode[]
  /** Not worth a line in the log unless it fails. */
  quiet?: boolean
  handle: (call: Call<Q, B>) => Promise<void>
}

export interface Call<Q, B> {
  req: Request
  res: Response
  context: HttpContext
  /** @throws a bug when the route is open */
  principal: Principal
  /** @throws a bug when the route is not a project's */
  project: ProjectRow
  query: Q
  body: B
  /** Aborts when the client is gone. */
  signal: AbortSignal
  param: (name: string) => string
}

export interface Route extends Omit<Definition<never, never>, 'access' | 'query' | 'body' | 'handle'> {
  access: { kind: Access<never>['kind']; scope: string | undefined }
  query: z.ZodType | undefined
  body: z.ZodType | undefined
  run: (context: HttpContext, req: Request, res: Response) => Promise<void>
}

/** Makes a route of a definition. Rights are checked before anything of the body is read. */
export function route<Q = undefined, B = undefined>(definition: Definition<Q, B>): Route {
  const { access, query, body, handle, ...rest } = definition
  const scope = 'scope' in access ? access.scope : undefined
  return {
    ...rest,
    access: {
      kind: access.kind,
      scope: typeof scope === 'function' ? 'depends on the query' : (scope ?? (access.kind === 'admin' ? 'admin' : undefined)),
    },
    query,
    body,
    async run(context, req, res) {
      res.locals['route'] = definition.path
      if (definition.quiet) res.locals['quiet'] = true
      const principal = access.kind === 'open' ? undefined : await identify(context, req, res)
      const parsedQuery = (query ? parse(query, { ...req.query }, 'query') : undefined) as Q
      const project = await authorize(context, req, access, parsedQuery, principal)
      const parsedBody = (body ? parse(body, await readJson(context, req), 'body') : undefined) as B
      await handle({
        req,
        res,
        context,
        get principal() {
          return present(principal, 'principal')
        },
        get project() {
          return present(project, 'project')
        },
        query: parsedQuery,
        body: parsedBody,
        signal: goneSignal(res),
        param: (name) => String(req.params[name]),
      })
    },
  }
}

export async function identify(context: HttpContext, req: Request, res: Response): Promise<Principal> {
  const principal = await authenticate(req, context.principals)
  res.locals['tokenId'] = principal.token.id
  return principal
}

async function authorize<Q>(
  context: HttpContext,
  req: Request,
  access: Access<Q>,
  query: Q,
  principal: Principal | undefined,
): Promise<ProjectRow | undefined> {
  if (!principal) return undefined
  if (access.kind === 'admin') requireServerAdmin(principal)
  if (access.kind === 'token' && access.scope) requireScope(principal, access.scope)
  if (access.kind !== 'project') return undefined
  const project = await findProject(context.stores, principal, String(req.params['project']))
  requireScope(principal, typeof access.scope === 'function' ? access.scope(query) : access.scope)
  return project
}

export async function readJson(context: HttpContext, req: Request): Promise<unknown> {
  const { jsonBytes, bodyIdleSeconds } = context.limits
  const bytes = await readWhole(req, { limit: jsonBytes, idleSeconds: bodyIdleSeconds })
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new CairnError('BAD_REQUEST', 'the body is not valid JSON', { cause })
  }
}

/** @throws CairnError BAD_REQUEST that names the first thing that is wrong */
export function parse<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const place = [where, ...(issue?.path ?? [])].join('.')
  throw new CairnError('BAD_REQUEST', `${place}: ${issue?.message ?? 'malformed'}`)
}

/** Aborts when the connection closes before the answer is out. */
export function goneSignal(res: Response): AbortSignal {
  const controller = new AbortController()
  res.once('close', () => {
    if (!res.writableFinished) controller.abort(new CairnError('CANCELLED', 'the client is gone'))
  })
  return controller.signal
}

function present<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`this route has no ${name}`)
  return value
}
