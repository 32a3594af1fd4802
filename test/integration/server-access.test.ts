import jwt from 'jsonwebtoken'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PACK_TYPE } from '@cairn/protocol/api'
import { objectPath } from '@cairn/protocol/digest'
import { SCOPES, type Scope } from '@cairn/protocol/scope'
import { type AskOptions, digestOf, packOf, startTestServer, type TestServer, treeOf } from '../rig/server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
  await server.createProject('other')
  for (const project of ['demo', 'other']) {
    await server.ask('PUT', `/api/v1/projects/${project}/objects/${HERE}`, { body: 'here' })
  }
})
afterAll(() => server.stop())

const HERE = digestOf('here')
const RUN = `${'a'.repeat(64)}/${'b'.repeat(64)}`
const EMPTY_TREE = treeOf({})
const NO_SESSION = '00000000-0000-4000-8000-000000000000'

interface Case {
  method: string
  path: string
  needs: Scope | 'any'
  /** undefined: the path names a project, and any administrator of it will do. */
  over?: 'server'
  ask?: AskOptions
  /** The status for who may. */
  ok: number
}

const project = (path: string) => `/api/v1/projects/PROJECT${path}`

/** Every route that asks for a token. */
const CASES: Case[] = [
  { method: 'POST', path: project('/objects/missing?intent=push'), needs: 'write', ask: { json: { digests: [HERE] } }, ok: 200 },
  { method: 'POST', path: project('/objects/missing'), needs: 'write', ask: { json: { digests: [HERE] } }, ok: 200 },
  { method: 'POST', path: project('/objects/missing?intent=pull'), needs: 'read', ask: { json: { digests: [HERE] } }, ok: 200 },
  { method: 'POST', path: project('/objects/fetch'), needs: 'read', ask: { json: { digests: [HERE] } }, ok: 200 },
  { method: 'PUT', path: project(`/objects/${HERE}`), needs: 'write', ask: { body: 'here' }, ok: 200 },
  { method: 'GET', path: project(`/objects/${HERE}`), needs: 'read', ok: 200 },
  { method: 'HEAD', path: project(`/objects/${HERE}`), needs: 'read', ok: 200 },
  { method: 'POST', path: project('/objects'), needs: 'write', ask: { body: 'no form' }, ok: 400 },
  {
    method: 'POST',
    path: project(`/trees?digest=${EMPTY_TREE.digest}`),
    needs: 'write',
    ask: { body: EMPTY_TREE.bytes },
    ok: 200,
  },
  {
    method: 'POST',
    path: project('/packs'),
    needs: 'write',
    ask: { body: packOf([{ bytes: 'here' }]), headers: { 'Content-Type': PACK_TYPE } },
    ok: 200,
  },
  { method: 'POST', path: project(`/sessions/${NO_SESSION}/commit`), needs: 'write', ask: { json: { roots: [] } }, ok: 404 },
  { method: 'POST', path: project(`/deltas?digest=${HERE}`), needs: 'write', ask: { body: 'here' }, ok: 200 },
  { method: 'POST', path: project(`/deltas/fetch?digest=${HERE}`), needs: 'read', ask: { json: { digests: [] } }, ok: 204 },
  { method: 'GET', path: project(`/objects/${HERE}/chunks`), needs: 'read', ok: 400 },
  { method: 'GET', path: project(`/trees/${HERE}`), needs: 'read', ok: 400 },
  // An object that is here already opens no upload.
  {
    method: 'POST',
    path: project('/uploads'),
    needs: 'write',
    ask: { json: { digest: HERE, size: 4 } },
    ok: 200,
  },
  { method: 'GET', path: project(`/uploads/${NO_SESSION}`), needs: 'write', ok: 404 },
  { method: 'PUT', path: project(`/uploads/${NO_SESSION}/parts/1`), needs: 'write', ask: { body: 'here' }, ok: 404 },
  { method: 'POST', path: project(`/uploads/${NO_SESSION}/complete`), needs: 'write', ok: 404 },
  { method: 'DELETE', path: project(`/uploads/${NO_SESSION}`), needs: 'write', ok: 404 },
  // On a disk nothing goes to a bucket directly.
  {
    method: 'POST',
    path: project('/objects/direct/put'),
    needs: 'write',
    ask: { json: { objects: [{ digest: HERE, size: 4, sha256: 'a'.repeat(64) }] } },
    ok: 404,
  },
  {
    method: 'POST',
    path: project('/objects/direct/commit'),
    needs: 'write',
    ask: { json: { uploads: [{ digest: HERE, upload: NO_SESSION }] } },
    ok: 200,
  },
  { method: 'POST', path: project('/objects/direct/get'), needs: 'read', ask: { json: { digests: [HERE] } }, ok: 404 },
  { method: 'GET', path: project('/runs'), needs: 'read', ok: 200 },
  {
    method: 'POST',
    path: project('/runs'),
    needs: 'write',
    ask: { json: { runs: [{ name: RUN, entry: 'outs: []' }] } },
    ok: 200,
  },
  { method: 'POST', path: project('/runs/fetch'), needs: 'read', ask: { json: { runs: [RUN] } }, ok: 200 },
  { method: 'GET', path: project(''), needs: 'read', ok: 200 },
  { method: 'GET', path: project('/damaged'), needs: 'read', ok: 200 },
  { method: 'GET', path: `/dvc/PROJECT/${objectPath(HERE)}`, needs: 'read', ok: 200 },
  { method: 'HEAD', path: `/dvc/PROJECT/${objectPath(HERE)}`, needs: 'read', ok: 200 },
  { method: 'POST', path: `/dvc/PROJECT/${objectPath(HERE)}`, needs: 'write', ask: { body: 'here' }, ok: 200 },
  { method: 'PUT', path: `/dvc/PROJECT/${objectPath(HERE)}`, needs: 'write', ask: { body: 'here' }, ok: 200 },
  { method: 'GET', path: '/dvc/PROJECT', needs: 'read', ok: 200 },
  { method: 'GET', path: '/dvc/PROJECT/files/md5', needs: 'read', ok: 200 },
  { method: 'GET', path: '/api/v1/whoami', needs: 'any', ok: 200 },
  { method: 'GET', path: '/api/v1/projects', needs: 'read', ok: 200 },
  { method: 'POST', path: '/api/v1/projects', needs: 'admin', over: 'server', ask: { json: { slug: 'demo' } }, ok: 409 },
  { method: 'GET', path: '/api/v1/tokens', needs: 'admin', ok: 200 },
  {
    method: 'POST',
    path: '/api/v1/tokens',
    needs: 'admin',
    ask: { json: { name: 'x', scopes: ['read'], projects: ['demo'], expiresIn: 60 } },
    ok: 201,
  },
  { method: 'DELETE', path: `/api/v1/tokens/${NO_SESSION}`, needs: 'admin', ok: 404 },
  { method: 'GET', path: '/api/v1/jobs', needs: 'admin', over: 'server', ok: 200 },
  { method: 'GET', path: '/api/v1/jobs/999999', needs: 'admin', over: 'server', ok: 404 },
  { method: 'POST', path: '/api/v1/jobs', needs: 'admin', over: 'server', ask: { json: { type: 'scrub' } }, ok: 202 },
  { method: 'GET', path: '/api/v1/audit', needs: 'admin', over: 'server', ok: 200 },
]

const ofProject = (one: Case) => one.path.includes('PROJECT')
const pathIn = (one: Case, slug: string) => one.path.replace('PROJECT', slug)
const named = CASES.map((one) => [`${one.method} ${one.path.replace('/api/v1', '')}`, one] as const)

describe('rights', () => {
  test.each(named)('%s is for those who may', async (_name, one) => {
    for (const scope of SCOPES) {
      const token = await server.token([scope], one.over === 'server' ? undefined : ['demo'])
      const { status } = await server.ask(one.method, pathIn(one, 'demo'), { ...one.ask, token })
      const may = one.needs === 'any' || one.needs === scope || scope === 'admin'
      expect([scope, status]).toEqual([scope, may ? one.ok : 403])
    }
  })

  test.each(named)('%s answers 401 without a token', async (_name, one) => {
    const answer = await server.ask(one.method, pathIn(one, 'demo'), { ...one.ask, token: null })
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="cairn", charset="UTF-8"'])
  })

  test.each(named.filter(([, one]) => ofProject(one)))(
    '%s answers the same for a project beyond reach and for none',
    async (_name, one) => {
      const token = await server.token(['admin'], ['demo'])
      const answers = await Promise.all(
        ['other', 'nosuch'].map(async (slug) => {
          const answer = await server.ask(one.method, pathIn(one, slug), { ...one.ask, token })
          // Whether the connection stays open depends on how much of the body had arrived, not on the project.
          const chance = new Set(['x-request-id', 'date', 'connection', 'keep-alive'])
          const headers = Object.fromEntries([...answer.headers].filter(([name]) => !chance.has(name)))
          return JSON.stringify([answer.status, answer.statusText, headers, await answer.text()])
            .replaceAll(slug, 'SLUG')
            .replace(/"content-length":"\d+"/, '')
        }),
      )
      expect(answers[0]).toContain('404')
      expect(answers[0]).toBe(answers[1])
    },
  )

  test.each(named.filter(([, one]) => one.over === 'server'))(
    '%s is not for an administrator of some projects',
    async (_name, one) => {
      const token = await server.token(['admin'], ['demo'])
      expect((await server.ask(one.method, one.path, { ...one.ask, token })).status).toBe(403)
    },
  )

  test('the matrix names every route of the API that wants a token', async () => {
    const { paths } = (await (await server.ask('GET', '/api/v1/openapi.json', { token: null })).json()) as {
      paths: Record<string, Record<string, { security: unknown[] }>>
    }
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).flatMap(([method, { security }]) =>
        security.length > 0 ? [`${method.toUpperCase()} ${path}`] : [],
      ),
    )
    const shape = (one: Case) =>
      `${one.method} ${one.path.split('?')[0]}`
        .replace('PROJECT', '{project}')
        .replace(HERE, '{digest}')
        .replace(NO_SESSION, '{id}')
        .replace('999999', '{id}')
        .replace('/parts/1', '/parts/{number}')
    const tested = new Set(CASES.map(shape))
    expect(described.filter((entry) => !tested.has(entry))).toEqual([])
  })

  test('probes, metrics and the document want no token', async () => {
    for (const path of ['/livez', '/readyz', '/metrics', '/api/v1/openapi.json', '/dvc/demo/.well-known/cairn']) {
      expect([path, (await server.ask('GET', path, { token: null })).status]).toEqual([path, 200])
    }
  })
})

describe('tokens', () => {
  test('a token is taken as Bearer, as the password of Basic and bare', async () => {
    const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
    const token = server.adminToken
    for (const header of [
      `Bearer ${token}`,
      `bearer ${token}`,
      basic(`anybody:${token}`),
      basic(`:${token}`),
      basic(`x:Bearer ${token}`),
      token,
    ]) {
      const answer = await server.ask('GET', '/api/v1/whoami', { token: null, headers: { Authorization: header } })
      expect([header.slice(0, 6), answer.status]).toEqual([header.slice(0, 6), 200])
    }
  })

  test('forged tokens are nobody', async () => {
    const claims = jwt.decode(server.adminToken) as { jti: string }
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const forged = {
      'alg none': `${part({ alg: 'none', typ: 'JWT' })}.${part(claims)}.`,
      'another key': jwt.sign(claims, 'another key of thirty-two characters'),
      'another algorithm': jwt.sign(claims, 'another key of thirty-two characters', { algorithm: 'HS512' }),
      'no such id': 'not-a-token',
      'changed claims': server.adminToken.replace(/\.[^.]+\./, `.${part({ ...claims, jti: NO_SESSION })}.`),
      empty: '..',
      huge: 'x'.repeat(10_000),
    }
    for (const [name, token] of Object.entries(forged)) {
      const answer = await server.ask('GET', '/api/v1/whoami', { token })
      expect([name, answer.status, ((await answer.json()) as { code: string }).code]).toEqual([name, 401, 'UNAUTHENTICATED'])
    }
  })

  test('an expired token says so', async () => {
    const token = await server.token(['read'], undefined, 1)
    await new Promise((resolve) => setTimeout(resolve, 2100))
    const answer = await server.ask('GET', '/api/v1/whoami', { token })
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([401, 'TOKEN_EXPIRED'])
  })

  test('a revoked token is refused at once here, and is in the list as revoked', async () => {
    const secret = await server.token(['read'])
    const { token } = (await (await server.ask('GET', '/api/v1/whoami', { token: secret })).json()) as { token: { id: string } }
    expect((await server.ask('DELETE', `/api/v1/tokens/${token.id}`)).status).toBe(204)
    const answer = await server.ask('GET', '/api/v1/whoami', { token: secret })
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([401, 'TOKEN_REVOKED'])
    const { tokens } = (await (await server.ask('GET', '/api/v1/tokens')).json()) as {
      tokens: Array<{ id: string; revokedAt: string | null }>
    }
    expect(tokens.find(({ id }) => id === token.id)?.revokedAt).not.toBeNull()
  })

  test('a token made over the API works, and its secret is nowhere but in that answer', async () => {
    const json = { name: 'ci', scopes: ['read'], projects: ['demo'], expiresIn: 3600 }
    const { secret, token } = (await (await server.ask('POST', '/api/v1/tokens', { json })).json()) as {
      secret: string
      token: { id: string }
    }
    expect((await server.ask('GET', '/api/v1/projects/demo', { token: secret })).status).toBe(200)
    for (const path of ['/api/v1/tokens', '/api/v1/audit'])
      expect(await (await server.ask('GET', path)).text()).not.toContain(secret)
    expect(await (await server.ask('GET', '/api/v1/audit')).text()).toContain(token.id)
  })

  test('an administrator of one project makes, sees and revokes tokens of that project only', async () => {
    const token = await server.token(['admin'], ['demo'])
    const make = (projects: string[] | null) =>
      server.ask('POST', '/api/v1/tokens', { token, json: { name: 'n', scopes: ['read'], projects, expiresIn: null } })
    expect((await make(['demo'])).status).toBe(201)
    expect((await make(['demo', 'other'])).status).toBe(403)
    expect((await make(null)).status).toBe(403)
    const { tokens } = (await (await server.ask('GET', '/api/v1/tokens', { token })).json()) as {
      tokens: Array<{ projects: string[] | null }>
    }
    expect(tokens.every(({ projects }) => projects?.join() === 'demo')).toBe(true)
    const own = (await (await server.ask('GET', '/api/v1/whoami')).json()) as { token: { id: string } }
    expect((await server.ask('DELETE', `/api/v1/tokens/${own.token.id}`, { token })).status).toBe(404)
  })

  test('a list of projects holds what the token reaches', async () => {
    const token = await server.token(['read'], ['other'])
    const { projects } = (await (await server.ask('GET', '/api/v1/projects', { token })).json()) as {
      projects: Array<{ slug: string; objects: number }>
    }
    expect(projects.map(({ slug }) => slug)).toEqual(['other'])
  })
})
