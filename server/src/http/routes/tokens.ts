import { createdToken, tokenList, tokenRequest, whoami } from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import { z } from 'zod'
import { createToken, describeToken, listTokens, revokeToken } from '../../domain/tokens.ts'
import { answerBytes, answerJson } from '../answer.ts'
import { type Route, route } from '../handler.ts'

export const tokenRoutes: Route[] = [
  route({
    method: 'get',
    path: '/api/v1/whoami',
    summary: 'The token that asks',
    access: { kind: 'token' },
    answers: { 200: { schema: whoami, description: 'The token, and the version of the server' } },
    errors: [],
    async handle({ context, req, res, principal }) {
      answerJson(req, res, 200, { token: describeToken(principal.token), server: { version: context.version } })
      return Promise.resolve()
    },
  }),
  route({
    method: 'get',
    path: '/api/v1/tokens',
    summary: 'The tokens that the administrator may see',
    access: { kind: 'token', scope: 'admin' },
    answers: { 200: { schema: tokenList, description: 'Without their secrets, which nobody has' } },
    errors: [],
    async handle({ context, req, res, principal }) {
      answerJson(req, res, 200, { tokens: await listTokens(context.stores, principal) })
    },
  }),
  route({
    method: 'post',
    path: '/api/v1/tokens',
    summary: 'Create a token',
    access: { kind: 'token', scope: 'admin' },
    body: tokenRequest,
    answers: { 201: { schema: createdToken, description: 'The secret is shown here and nowhere else' } },
    errors: ['BAD_REQUEST', 'PROJECT_UNKNOWN'],
    async handle({ context, req, res, principal, body }) {
      res.setHeader('Cache-Control', 'no-store')
      answerJson(req, res, 201, await createToken(context.stores, context.codec, body, principal))
    },
  }),
  route({
    method: 'delete',
    path: '/api/v1/tokens/:id',
    summary: 'Revoke a token',
    access: { kind: 'token', scope: 'admin' },
    answers: { 204: { description: 'Revoked, on every replica within 5 s' } },
    errors: ['NOT_FOUND'],
    async handle({ context, req, res, principal, param }) {
      const id = z.uuid().safeParse(param('id'))
      if (!id.success) throw new CairnError('NOT_FOUND', 'no such token')
      await revokeToken(context.stores, id.data, principal)
      context.principals.forget(id.data)
      answerBytes(req, res, 204, new Uint8Array())
    },
  }),
]
