import { readFileSync } from 'node:fs'
import path from 'node:path'
import { startPlainHttpRemote } from '../test/rig/plain-http-remote.ts'
import { ROOT } from '../test/rig/project.ts'
import type { Place } from './subject.ts'

export const folder = (base: string): Place => ({
  name: 'folder',
  open: (label) => Promise.resolve([['add', '-d', 'origin', path.join(base, label)]]),
})

/** A new project on the server for each round. */
export const cairnServer = (server: { url: string; adminToken: string }): Place => ({
  name: 'Cairn server',
  async open(label) {
    const slug = `${label}-${Math.random().toString(36).slice(2, 8)}`.toLowerCase()
    const answer = await fetch(`${server.url}/api/v1/projects`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ slug }),
    })
    if (!answer.ok) throw new Error(`the server refused project ${slug}: ${await answer.text()}`)
    return [
      ['add', '-d', 'origin', `${server.url}/dvc/${slug}`],
      ['modify', 'origin', 'auth', 'custom'],
      ['modify', 'origin', 'custom_auth_header', 'Authorization'],
      ['modify', '--local', 'origin', 'password', `Bearer ${server.adminToken}`],
    ]
  },
})

/** A bucket-like HTTP server that only stores and answers: what stock dvc has without Cairn. */
export async function plainHttp(dir: string): Promise<{ place: Place; stop(): Promise<void> }> {
  const server = await startPlainHttpRemote({ dir })
  return {
    place: { name: 'plain HTTP', open: (label) => Promise.resolve([['add', '-d', 'origin', `${server.url}/${label}`]]) },
    stop: () => server.stop(),
  }
}

/** The S3 server of the slow suites, when it runs. */
export async function objectStorage(): Promise<Place | undefined> {
  let parts: Record<string, string>
  try {
    parts = JSON.parse(readFileSync(path.join(ROOT, '.cache/real-parts/env.json'), 'utf8')) as Record<string, string>
  } catch {
    return undefined
  }
  const endpoint = parts['CAIRN_TEST_S3_ENDPOINT'] ?? ''
  if (
    !(await fetch(endpoint).then(
      () => true,
      () => false,
    ))
  )
    return undefined
  const unique = Math.random().toString(36).slice(2, 8)
  return {
    name: 'S3',
    open: (label) =>
      Promise.resolve([
        ['add', '-d', 'origin', `s3://${parts['CAIRN_TEST_S3_BUCKET']}/bench-${unique}/${label}`],
        ['modify', 'origin', 'endpointurl', endpoint],
        ['modify', 'origin', 'region', 'us-east-1'],
        ['modify', '--local', 'origin', 'access_key_id', parts['CAIRN_TEST_S3_ACCESS_KEY'] ?? ''],
        ['modify', '--local', 'origin', 'secret_access_key', parts['CAIRN_TEST_S3_SECRET_KEY'] ?? ''],
      ]),
  }
}
