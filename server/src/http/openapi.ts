import { errorBody } from '@cairn/protocol/api'
import { ERRORS, type ErrorCode } from '@cairn/protocol/error'
import { z } from 'zod'
import { answerJson } from './answer.ts'
import { type RawContent, type Route, route } from './handler.ts'

type Json = Record<string, unknown>

/** The document of an API whose routes and schemas also check the requests, so the two cannot part. Pure. */
export function describeApi(routes: readonly Route[], version: string): Json {
  const paths: Record<string, Json> = {}
  for (const one of routes) {
    const path = one.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [one.method]: describeRoute(one) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Cairn', version, description: 'Objects, trees and packs of DVC projects. See docs/protocol.md.' },
    paths,
    components: {
      schemas: { Error: toSchema(errorBody, 'output') },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
        basic: { type: 'http', scheme: 'basic' },
      },
    },
  }
}

function describeRoute(one: Route): Json {
  const open = one.access.kind === 'open'
  return {
    summary: one.summary,
    ...(one.access.scope ? { description: `Scope: ${one.access.scope}.` } : {}),
    security: open ? [] : [{ bearer: [] }, { basic: [] }],
    parameters: [...pathParameters(one.path), ...queryParameters(one.query)],
    ...requestBody(one),
    responses: { ...successes(one), ...failures(one) },
  }
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } }))
}

function queryParameters(query: z.ZodType | undefined): Json[] {
  if (!query) return []
  const { properties = {}, required = [] } = toSchema(query, 'input') as { properties?: Json; required?: string[] }
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: required.includes(name), schema }))
}

function requestBody({ body, rawBody }: Route): Json {
  if (!body && !rawBody) return {}
  return { requestBody: { required: true, content: { ...jsonContent(body, 'input'), ...rawContent(rawBody) } } }
}

function successes({ answers }: Route): Json {
  const described: Json = {}
  for (const [status, { schema, raw, description }] of Object.entries(answers)) {
    const content = { ...jsonContent(schema, 'output'), ...rawContent(raw) }
    described[status] = { description, ...(Object.keys(content).length > 0 ? { content } : {}) }
  }
  return described
}

function failures(one: Route): Json {
  const codes: ErrorCode[] = [...one.errors]
  if (one.access.kind !== 'open') codes.push('UNAUTHENTICATED', 'TOKEN_EXPIRED', 'TOKEN_REVOKED')
  if (one.access.scope) codes.push('FORBIDDEN')
  if (one.access.kind === 'project') codes.push('PROJECT_UNKNOWN')
  const byStatus = Map.groupBy(codes, (code) => String(ERRORS[code].status))
  const described: Json = {}
  for (const [status, group] of byStatus) {
    const description = group.map((code) => `${code}: ${ERRORS[code].summary}`).join('; ')
    described[status] = { description, content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } }
  }
  return described
}

const jsonContent = (schema: z.ZodType | undefined, io: 'input' | 'output'): Json =>
  schema ? { 'application/json': { schema: toSchema(schema, io) } } : {}
const rawContent = (raw: RawContent | undefined): Json =>
  raw ? { [raw.type]: { schema: { type: 'string', format: 'binary', description: raw.description } } } : {}

function toSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _version, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return rest
}

/** The route that serves the document of all `routes` and of itself. */
export function openApiRoute(routes: readonly Route[], version: string): Route {
  let text: Json | undefined
  const own: Route = route({
    method: 'get',
    path: '/api/v1/openapi.json',
    summary: 'This document',
    access: { kind: 'open' },
    answers: { 200: { raw: { type: 'application/json', description: 'OpenAPI 3.1' }, description: 'The document' } },
    errors: [],
    quiet: true,
    handle({ req, res }) {
      text ??= describeApi([...routes, own], version)
      answerJson(req, res, 200, text)
      return Promise.resolve()
    },
  })
  return own
}
