import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Client as S3Client } from 'minio'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWorkstation, folderDigest, run, type Finished, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'

const CLIENTS = ['cairn', 'dvc'] as const
type Client = (typeof CLIENTS)[number]

const { s3 } = realParts()
const root = `options-${process.pid}-${Date.now()}`
const stations: Workstation[] = []
let client: S3Client

const upload = (name: string, text: string) => client.putObject(s3.bucket, `${root}/${name}`, Buffer.from(text))

beforeAll(async () => {
  const { hostname, port } = new URL(s3.endpoint)
  const keys = { accessKey: s3.accessKey, secretKey: s3.secretKey, region: s3.region }
  client = new S3Client({ endPoint: hostname, port: Number(port), useSSL: false, ...keys })
  for (const [name, text] of Object.entries({ 'in/one': '1\n', 'in/sub/two é': '22\n', 'in/sub/empty': '', inside: 'no\n' }))
    await upload(name, text)
})
afterAll(() => {
  for (const station of stations) station.remove()
})

const use = (who: Client, station: Workstation, ...args: string[]): Promise<Finished> =>
  who === 'cairn' ? station.tryCairn(...args) : run(realParts().dvc, args, { cwd: station.dir, env: station.env })

async function must(who: Client, station: Workstation, ...args: string[]): Promise<Finished> {
  const done = await use(who, station, ...args)
  expect(done, `${who} ${args.join(' ')}\n${done.stdout}\n${done.stderr}`).toHaveProperty('code', 0)
  return done
}

interface Case {
  options?: (home: string) => Record<string, string>
  env?: (home: string) => Record<string, string>
  /** Below the home folder. */
  files?: Record<string, string>
}

const KEYS = `aws_access_key_id = ${s3.accessKey}\naws_secret_access_key = ${s3.secretKey}\n`
const WRONG = 'aws_access_key_id = nobody\naws_secret_access_key = nothing\n'
const AWS = { AWS_ACCESS_KEY_ID: s3.accessKey, AWS_SECRET_ACCESS_KEY: s3.secretKey }
const PROGRAM = `#!/bin/sh\necho '{"Version": 1, "AccessKeyId": "${s3.accessKey}", "SecretAccessKey": "${s3.secretKey}"}'\n`

const CASES: Record<string, Case> = {
  'the environment': { env: () => AWS },
  'the environment, which wins over the default profile': {
    env: () => AWS,
    files: { '.aws/credentials': `[default]\n${WRONG}` },
  },
  'the default profile': { files: { '.aws/credentials': `[default]\n${KEYS}` } },
  'a profile, which wins over the environment': {
    options: () => ({ profile: 'team' }),
    env: () => ({ AWS_ACCESS_KEY_ID: 'nobody', AWS_SECRET_ACCESS_KEY: 'nothing' }),
    files: { '.aws/credentials': `[default]\n${WRONG}\n[team]\n${KEYS}` },
  },
  AWS_PROFILE: { env: () => ({ AWS_PROFILE: 'team' }), files: { '.aws/credentials': `[default]\n${WRONG}\n[team]\n${KEYS}` } },
  credentialpath: {
    options: (home) => ({ credentialpath: path.join(home, 'own'), profile: 'team' }),
    files: { own: `[team]\n${KEYS}` },
  },
  configpath: {
    options: (home) => ({ configpath: path.join(home, 'config'), profile: 'team' }),
    files: { config: `[profile team]\nregion = us-east-1\ns3 =\n  max_concurrent_requests = 4\n${KEYS}` },
  },
  'AWS_CONFIG_FILE with a credential_process': {
    options: () => ({ profile: 'team' }),
    env: (home) => ({ AWS_CONFIG_FILE: path.join(home, 'config') }),
    files: { config: '[profile team]\ncredential_process = /bin/sh HOME/program\n', program: PROGRAM },
  },
}

function startStation({ env, files = {} }: Case): Workstation {
  const bare = createWorkstation()
  stations.push(bare)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(bare.home, name)), { recursive: true })
    writeFileSync(path.join(bare.home, name), text.replace('HOME', bare.home))
    chmodSync(path.join(bare.home, name), 0o700)
  }
  return withEnv(bare, env?.(bare.home) ?? {})
}

function withEnv(bare: Workstation, env: Record<string, string>): Workstation {
  const station = createWorkstation({ env: { ...env, HOME: bare.home }, dir: bare.dir })
  stations.push(station)
  return station
}

async function startProject(each: Case, name: string): Promise<Workstation> {
  const station = startStation(each)
  station.git('init', '-q')
  await must('cairn', station, 'init')
  await must('cairn', station, 'remote', 'add', '-d', 'store', `s3://${s3.bucket}/${root}/${name}`)
  const options = { endpointurl: s3.endpoint, ...each.options?.(station.env['HOME'] ?? '') }
  for (const [key, value] of Object.entries(options))
    await must('cairn', station, 'remote', 'modify', '--local', 'store', key, value)
  return station
}

describe.each(Object.entries(CASES))('keys of %s', (name, each) => {
  test.each([
    ['cairn', 'dvc'],
    ['dvc', 'cairn'],
  ] as const)('%s pushes and %s pulls', { timeout: 240_000 }, async (pusher, puller) => {
    const station = await startProject(each, `${name.replace(/\W+/g, '-')}-${pusher}`)
    writeFileSync(path.join(station.dir, 'file'), `${name} ${pusher}\n`)
    await must('cairn', station, 'add', 'file')
    expect((await must(pusher, station, 'push')).stdout).toBe('1 file pushed\n')
    for (const gone of ['.dvc/cache', 'file']) rmSync(path.join(station.dir, gone), { recursive: true })
    await must(puller, station, 'pull')
    expect(readFileSync(path.join(station.dir, 'file'), 'utf8')).toBe(`${name} ${pusher}\n`)
  })
})

test('a session_token is sent: this server, which gave none out, refuses it to both', { timeout: 240_000 }, async () => {
  const keys = { access_key_id: s3.accessKey, secret_access_key: s3.secretKey }
  const station = await startProject({ options: () => ({ ...keys, session_token: 'of-a-session' }) }, 'session')
  writeFileSync(path.join(station.dir, 'file'), 'x\n')
  await must('cairn', station, 'add', 'file')
  const pushed = await use('cairn', station, 'push')
  expect(pushed.code).toBe(1)
  expect(pushed.stderr).toMatch(/: \S.*\n$/)
  expect((await use('dvc', station, 'push')).code).not.toBe(0)
})

test('a profile that is not there is told', { timeout: 240_000 }, async () => {
  const station = await startProject({ options: () => ({ profile: 'nobody' }) }, 'nobody')
  writeFileSync(path.join(station.dir, 'file'), 'x\n')
  await must('cairn', station, 'add', 'file')
  const pushed = await use('cairn', station, 'push')
  expect(pushed.stderr).toContain("the profile 'nobody' is neither in")
  expect(pushed.code).not.toBe(0)
  expect((await use('dvc', station, 'push')).code).not.toBe(0)
})

const FROM_ENV: Case = { env: () => ({ ...AWS, AWS_ENDPOINT_URL: s3.endpoint, AWS_DEFAULT_REGION: 'us-east-1' }) }
const read = (station: Workstation, name: string): string | undefined =>
  existsSync(path.join(station.dir, name)) ? readFileSync(path.join(station.dir, name), 'utf8') : undefined

describe('what lies in a bucket', () => {
  test('import-url and update write the same files and bring the same content', { timeout: 240_000 }, async () => {
    const ours = await startProject(FROM_ENV, 'in')
    const theirs = await startProject(FROM_ENV, 'in')
    const url = `s3://${s3.bucket}/${root}/in`
    const both = async (...args: string[]) => {
      const [mine, stock] = [await use('cairn', ours, ...args), await use('dvc', theirs, ...args)]
      expect(mine.code, `${args.join(' ')}\n${mine.stderr}\n${stock.stderr}`).toBe(stock.code)
      expect(mine.stdout.split('\n')[0], args.join(' ')).toBe(stock.stdout.split('\n')[0])
    }
    const same = (when: string) => {
      for (const name of ['one', 'all', 'sub', 'later', 'empty']) {
        expect(read(ours, `${name}.dvc`), `${name} ${when}`).toBe(read(theirs, `${name}.dvc`))
        expect(folderDigest(path.join(ours.dir, name)), name).toBe(folderDigest(path.join(theirs.dir, name)))
      }
    }
    await both('import-url', `${url}/one`)
    await both('import-url', url, 'all')
    await both('import-url', 'remote://store/sub')
    await both('import-url', `${url}/one`, 'later', '--no-exec')
    await both('import-url', `${url}/sub`, 'empty', '--no-download')
    await both('import-url', `${url}/nothing`)
    await both('import-url', `${url.slice(0, -1)}`, 'prefix')
    same('at first')
    for (const name of ['one.dvc', 'all.dvc']) await both('update', name)
    same('with nothing new')
    await upload('in/one', 'changed\n')
    for (const name of ['one.dvc', 'all.dvc', 'later.dvc']) await both('update', name)
    same('after a change')
    // Each takes over what the other wrote.
    const [taken, given] = [read(ours, 'all.dvc'), read(theirs, 'all.dvc')]
    expect((await must('dvc', ours, 'update', 'all.dvc')).stdout).not.toContain('Importing')
    expect((await must('cairn', theirs, 'update', 'all.dvc')).stdout).not.toContain('Importing')
    expect([read(ours, 'all.dvc'), read(theirs, 'all.dvc')]).toEqual([taken, given])
  })

  test('get-url brings files and folders without a repository', { timeout: 240_000 }, async () => {
    const url = `s3://${s3.bucket}/${root}/in`
    const brought = []
    for (const who of CLIENTS) {
      const station = startStation(FROM_ENV)
      await must(who, station, 'get-url', `${url}/sub`)
      await must(who, station, 'get-url', `${url}/sub/two é`, 'file')
      expect((await use(who, station, 'get-url', `${url}/sub`)).code).toBe(1)
      expect((await use(who, station, 'get-url', `${url}/nothing`)).code).toBe(1)
      brought.push(folderDigest(station.dir))
    }
    expect(brought[0]).toBe(brought[1])
  })

  test('list-url lists a bucket, a remote and a folder', { timeout: 240_000 }, async () => {
    const ours = await startProject(FROM_ENV, 'in')
    const local = path.join(ours.dir, 'local')
    mkdirSync(path.join(local, 'b/c'), { recursive: true })
    for (const name of ['a', 'b/c/d']) writeFileSync(path.join(local, name), name)
    const url = `s3://${s3.bucket}/${root}/in`
    for (const args of [
      [url],
      [url, '-R', '--size'],
      [url, '-T'],
      [url, '-T', '--size', '-L', '1'],
      [`${url}/sub`, '--size', '--fs-config', `endpointurl=${s3.endpoint}`],
      [`${url}/one`, '--size'],
      [`${url}/nothing`],
      ['remote://store/sub', '-R'],
      [local],
      [local, '-R', '--size'],
      ['local', '-T'],
      ['local', '-T', '--size', '-L', '2'],
      ['local/a', '--size'],
      ['nothing'],
    ]) {
      const [mine, stock] = [await use('cairn', ours, 'list-url', ...args), await use('dvc', ours, 'list-url', ...args)]
      expect(mine.code, `${args.join(' ')}\n${mine.stderr}`).toBe(stock.code)
      // Of a folder of this machine stock gives the files in the order of the disk.
      const order = args.includes('-T') ? (lines: string[]) => lines : (lines: string[]) => lines.toSorted()
      expect(order(mine.stdout.split('\n')), args.join(' ')).toEqual(order(stock.stdout.split('\n')))
    }
  })
})
