// An S3 server: versitygw where there is Go to build it, s3proxy on a Java runtime otherwise.
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Client } from 'minio'
import { aptInstall, CACHE, findService, freePort, PARTS, runProgram, say, startService, stopService, which } from './service.mjs'

const BUCKET = 'cairn-test'
const FOLDER = path.join(PARTS, 's3')
const VERSITYGW = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'
const S3PROXY = 'org.gaul:s3proxy:4.1.0:jar:jar-with-dependencies'

export async function startS3() {
  const service = findService('s3') ?? (await launch())
  return {
    CAIRN_TEST_S3_ENDPOINT: `http://127.0.0.1:${service.port}`,
    CAIRN_TEST_S3_BUCKET: BUCKET,
    CAIRN_TEST_S3_ACCESS_KEY: service.accessKey,
    CAIRN_TEST_S3_SECRET_KEY: service.secretKey,
  }
}

export async function stopS3() {
  await stopService('s3')
}

async function launch() {
  rmSync(FOLDER, { recursive: true, force: true })
  mkdirSync(path.join(FOLDER, 'buckets'), { recursive: true })
  mkdirSync(path.join(FOLDER, 'attributes'))
  const access = { port: await freePort(), accessKey: 'cairn', secretKey: randomBytes(16).toString('hex') }
  const service = (await launchVersitygw(access)) ?? (await launchS3Proxy(access))
  await makeBucket(access)
  return service
}

async function launchVersitygw({ port, ...keys }) {
  const gateway = path.join(CACHE, 'bin/versitygw')
  if (!existsSync(gateway) && !buildVersitygw(gateway)) return undefined
  say('starting versitygw …')
  const env = { ROOT_ACCESS_KEY: keys.accessKey, ROOT_SECRET_KEY: keys.secretKey }
  const flags = ['--port', `127.0.0.1:${port}`, '--region', 'us-east-1', '--quiet', 'posix']
  const start = (...sidecar) => {
    const command = [gateway, ...flags, ...sidecar, path.join(FOLDER, 'buckets')]
    return startService('s3', command, { port, mark: FOLDER, env, settings: keys })
  }
  try {
    return await start()
  } catch (error) {
    // Some file systems of containers have no extended attributes; a folder beside the bucket keeps them then.
    say(error.message)
    return await start('--sidecar', path.join(FOLDER, 'attributes'))
  }
}

function buildVersitygw(target) {
  const go = which('go')
  if (!go) return false
  say('building versitygw with Go (once; about two minutes) …')
  const env = { ...process.env, GOBIN: path.dirname(target), GOFLAGS: '-buildvcs=false' }
  try {
    runProgram(go, ['install', '-ldflags=-s -w', VERSITYGW], { env })
    return true
  } catch (error) {
    say(`Go could not build versitygw: ${error.message}`)
    return false
  }
}

async function launchS3Proxy({ port, ...keys }) {
  const jar = fetchS3Proxy()
  say('starting s3proxy …')
  const settings = {
    's3proxy.endpoint': `http://127.0.0.1:${port}`,
    's3proxy.authorization': 'aws-v2-or-v4',
    's3proxy.identity': keys.accessKey,
    's3proxy.credential': keys.secretKey,
    's3proxy.v4-max-non-chunked-request-size': 1 << 30,
    'jclouds.provider': 'filesystem-nio2',
    'jclouds.filesystem.basedir': path.join(FOLDER, 'buckets'),
    'jclouds.identity': 'unused',
    'jclouds.credential': 'unused',
  }
  const file = path.join(FOLDER, 's3proxy.conf')
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(file, lines.join(''), { mode: 0o600 })
  const command = [which('java'), '-Xmx512m', '-jar', jar, '--properties', file]
  return await startService('s3', command, { port, mark: FOLDER, settings: keys })
}

function fetchS3Proxy() {
  if (!which('java')) aptInstall('default-jre-headless')
  const jar = path.join(CACHE, 'maven/org/gaul/s3proxy/4.1.0/s3proxy-4.1.0-jar-with-dependencies.jar')
  if (existsSync(jar)) return jar
  if (!which('mvn')) aptInstall('maven')
  const maven = which('mvn')
  if (!maven) throw new Error('there is neither Go nor Maven to get an S3 server with; install one of them')
  say('fetching s3proxy …')
  runProgram(maven, [
    '-q',
    '-B',
    `-Dmaven.repo.local=${CACHE}/maven`,
    'dependency:get',
    `-Dartifact=${S3PROXY}`,
    '-Dtransitive=false',
  ])
  return jar
}

async function makeBucket({ port, accessKey, secretKey }) {
  const client = new Client({ endPoint: '127.0.0.1', port, useSSL: false, accessKey, secretKey, region: 'us-east-1' })
  if (!(await client.bucketExists(BUCKET))) await client.makeBucket(BUCKET)
}
