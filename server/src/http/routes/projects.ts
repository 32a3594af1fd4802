import { damageList, project as projectSchema, projectList, projectRequest } from '@cairn/protocol/api'
import { createProject, describeProject, listProjects } from '../../domain/projects.ts'
import { answerJson } from '../answer.ts'
import { type Route, route } from '../handler.ts'

export const projectRoutes: Route[] = [
  route({
    method: 'get',
    path: '/api/v1/projects',
    summary: 'The projects that the token reaches',
    access: { kind: 'token', scope: 'read' },
    answers: { 200: { schema: projectList, description: 'In the order of their names' } },
    errors: [],
    async handle({ context, req, res, principal }) {
      answerJson(req, res, 200, { projects: await listProjects(context.stores, principal) })
    },
  }),
  route({
    method: 'post',
    path: '/api/v1/projects',
    summary: 'Create a project',
    access: { kind: 'admin' },
    body: projectRequest,
    answers: { 201: { schema: projectSchema, description: 'Created' } },
    errors: ['BAD_REQUEST', 'PROJECT_EXISTS'],
    async handle({ context, req, res, principal, body }) {
      answerJson(req, res, 201, await createProject(context.stores, body.slug, principal.token.id))
    },
  }),
  route({
    method: 'get',
    path: '/api/v1/projects/:project',
    summary: 'A project and what it holds',
    access: { kind: 'project', scope: 'read' },
    answers: { 200: { schema: projectSchema, description: 'The project' } },
    errors: [],
    async handle({ context, req, res, project }) {
      answerJson(req, res, 200, await describeProject(context.stores, project))
    },
  }),
  route({
    method: 'get',
    path: '/api/v1/projects/:project/damaged',
    summary: 'Objects whose stored bytes no longer hash to their digest; pushing them again repairs them',
    access: { kind: 'project', scope: 'read' },
    answers: { 200: { schema: damageList, description: 'What scrubs and reads found' } },
    errors: [],
    async handle({ context, req, res, project }) {
      const rows = await context.stores.catalog.listDamaged(project.id)
      const damaged = rows.map(({ digest, size, foundAt }) => ({ digest, size, foundAt: foundAt.toISOString() }))
      answerJson(req, res, 200, { damaged })
    },
  }),
]
