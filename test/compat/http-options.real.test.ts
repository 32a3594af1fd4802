import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type PlainHttpRemote, startPlainHttpRemote } from '../rig/plain-http-remote.ts'
import { CAIRN, createWorkstation, run, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'

const CLIENTS = ['cairn', 'dvc'] as const
type Client = (typeof CLIENTS)[number]

const home = mkdtempSync(path.join(os.tmpdir(), 'cairn-http-options-'))
const stations: Workstation[] = []
const basic = `Basic ${Buffer.from('ada:s3 cret').toString('base64')}`
const servers: Record<string, PlainHttpRemote> = {}

beforeAll(async () => {
  servers['basic'] = await startPlainHttpRemote({ dir: path.join(home, 'basic'), authorization: basic })
  servers['token'] = await startPlainHttpRemote({ dir: path.join(home, 'token'), authorization: 'Token k' })
})
afterAll(async () => {
  for (const server of Object.values(servers)) await server.stop()
  for (const station of stations) station.remove()
  rmSync(home, { recursive: true, force: true })
})

interface Case {
  server: 'basic' | 'token'
  options?: Record<string, string>
  /** Before the host in the url. */
  user?: string
  netrc?: string
  input?: string
}

const CASES: Record<string, Case> = {
  'auth = basic': { server: 'basic', options: { auth: 'basic', user: 'ada', password: 's3 cret' } },
  'auth = custom': { server: 'token', options: { auth: 'custom', custom_auth_header: 'Authorization', password: 'Token k' } },
  'a user in the url': { server: 'basic', user: 'ada:s3%20cret@' },
  'a netrc': { server: 'basic', netrc: 'machine 127.0.0.1 login ada password "s3 cret"\n' },
  'ask_password, for basic': {
    server: 'basic',
    options: { auth: 'basic', user: 'ada', ask_password: 'true' },
    input: 's3 cret\n',
  },
  'ask_password, for custom': {
    server: 'token',
    options: { auth: 'custom', custom_auth_header: 'Authorization', ask_password: 'true' },
    input: 'Token k\n',
  },
  'method = PUT': { server: 'basic', options: { auth: 'basic', user: 'ada', password: 's3 cret', method: 'PUT' } },
}

const use = (client: Client, station: Workstation, input: string, ...args: string[]) =>
  run(client === 'cairn' ? CAIRN : realParts().dvc, args, { cwd: station.dir, env: station.env, input })

async function startProject(client: Client, { server, options = {}, user = '', netrc }: Case): Promise<Workstation> {
  const station = createWorkstation()
  stations.push(station)
  station.git('init', '-q')
  await station.cairn('init')
  const url = (servers[server] as PlainHttpRemote).url.replace('//', `//${user}`)
  await station.cairn('remote', 'add', '-d', 'origin', url)
  for (const [key, value] of Object.entries(options)) await station.cairn('remote', 'modify', '--local', 'origin', key, value)
  if (netrc !== undefined) writeFileSync(path.join(station.home, '.netrc'), netrc, { mode: 0o600 })
  writeFileSync(path.join(station.dir, 'file'), `${client} ${JSON.stringify([options, user, netrc])}\n`)
  await station.cairn('add', 'file')
  return station
}

describe.each(Object.entries(CASES))('%s', (_name, each) => {
  test.each([
    ['cairn', 'dvc'],
    ['dvc', 'cairn'],
  ] as const)('%s pushes and %s pulls', { timeout: 240_000 }, async (pusher, puller) => {
    const server = servers[each.server] as PlainHttpRemote
    const station = await startProject(pusher, each)
    server.requests.length = 0
    const pushed = await use(pusher, station, each.input ?? '', 'push')
    expect(pushed, pushed.stderr).toMatchObject({ code: 0, stdout: '1 file pushed\n' })
    const method = each.options?.['method'] ?? 'POST'
    expect(server.requests.filter((request) => request.startsWith(`${method} `))).toHaveLength(1)
    for (const name of ['.dvc/cache', 'file']) rmSync(path.join(station.dir, name), { recursive: true })
    const pulled = await use(puller, station, each.input ?? '', 'pull')
    expect(pulled, pulled.stderr).toHaveProperty('code', 0)
    expect(pulled.stdout).toContain('1 file fetched and 1 file added')
  })
})

test(
  'without what it needs both fail: half of the options, no password on standard input, no credentials',
  { timeout: 240_000 },
  async () => {
    for (const [each, code] of [
      [{ server: 'basic', options: { auth: 'basic', user: 'ada' } }, 251],
      [{ server: 'token', options: { auth: 'custom', password: 'Token k' } }, 251],
      [{ server: 'basic', netrc: 'machine elsewhere login ada password x\n' }, 1],
    ] as Array<[Case, number]>)
      for (const client of CLIENTS) {
        const station = await startProject(client, each)
        expect(await use(client, station, '', 'push'), `${client} ${JSON.stringify(each)}`).toHaveProperty('code', code)
      }
  },
)
