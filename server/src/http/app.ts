import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import { CairnError } from '@cairn/protocol/error'
import type { HttpContext } from './context.ts'
import { answerError } from './error-response.ts'
import type { Route } from './handler.ts'
import { openApiRoute } from './openapi.ts'
import { requestLog } from './request-log.ts'
import { auditRoutes } from './routes/audit.ts'
import { directRoutes } from './routes/direct.ts'
import { deltaRoutes } from './routes/deltas.ts'
import { dvcRemoteRoutes, serveDvcRemote } from './routes/dvc-remote.ts'
import { formUploadRoutes } from './routes/form-uploads.ts'
import { healthRoutes } from './routes/health.ts'
import { jobRoutes } from './routes/jobs.ts'
import { objectRoutes } from './routes/objects.ts'
import { packRoutes } from './routes/packs.ts'
import { projectRoutes } from './routes/projects.ts'
import { runRoutes } from './routes/runs.ts'
import { sessionRoutes } from './routes/sessions.ts'
import { tokenRoutes } from './routes/tokens.ts'
import { treeRoutes } from './routes/trees.ts'
import { uploadRoutes } from './routes/uploads.ts'

/** Every request the native API knows. */
export const ROUTES: readonly Route[] = [
  ...healthRoutes,
  ...projectRoutes,
  ...objectRoutes,
  ...directRoutes,
  ...formUploadRoutes,
  ...treeRoutes,
  ...packRoutes,
  ...deltaRoutes,
  ...uploadRoutes,
  ...sessionRoutes,
  ...runRoutes,
  ...tokenRoutes,
  ...jobRoutes,
  ...auditRoutes,
  ...dvcRemoteRoutes,
]

/** No body parser stands before any route: each reads what it expects, and only after it knows who asks. */
export function createApp(context: HttpContext): Express {
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.enable('case sensitive routing')
  app.set('query parser', 'simple')
  app.use(requestLog(context))
  for (const one of [...ROUTES, openApiRoute(ROUTES, context.version)]) {
    app[one.method](one.path, (req, res) => one.run(context, req, res))
  }
  app.all('/dvc/:project{/*path}', (req, res) => serveDvcRemote(context, req, res))
  app.use(() => {
    throw new CairnError('NOT_FOUND', 'no such page', { hint: 'The API is described at /api/v1/openapi.json.' })
  })
  app.use((error: unknown, req: Request, res: Response, _next: NextFunction) => answerError(error, req, res, context.log))
  return app
}
