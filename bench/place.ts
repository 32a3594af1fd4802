import type { RealParts } from '../test/rig/real-parts.ts'

/** Where a subject pushes to; a fresh, empty one for each round. */
export interface Place {
  name: string
  /** Sets up an empty remote; returns the commands that tell the tool about it, as arguments after `remote`. */
  open(label: string): Promise<Array<readonly string[]>>
}

export interface CairnDoor {
  /** Of the server, or of a proxy before it. */
  url: string
  adminToken: string
}

/** A new project on the server for each round. */
export const cairnPlace = (name: string, door: CairnDoor): Place => ({
  name,
  async open(label) {
    return cairnCommands(door, await createProject(door, label))
  },
})

/** What tells a tool about a project that stands already. */
export const cairnCommands = ({ url, adminToken }: CairnDoor, slug: string): Array<readonly string[]> => [
  ['add', '-d', 'origin', `${url}/dvc/${slug}`],
  ['modify', 'origin', 'auth', 'custom'],
  ['modify', 'origin', 'custom_auth_header', 'Authorization'],
  ['modify', '--local', 'origin', 'password', `Bearer ${adminToken}`],
]

/** Returns the slug, which is new at each call. */
export async function createProject({ url, adminToken }: CairnDoor, label: string): Promise<string> {
  const slug = `${label}-${unique()}`.toLowerCase()
  const answer = await fetch(`${url}/api/v1/projects`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ slug }),
  })
  if (!answer.ok) throw new Error(`the server refused project ${slug}: ${await answer.text()}`)
  return slug
}

/** A server that only stores and answers: what stock dvc has without Cairn. */
export const httpPlace = (url: string): Place => ({
  name: 'HTTP',
  open: (label) => Promise.resolve([['add', '-d', 'origin', `${url}/${label}-${unique()}`]]),
})

export type Bucket = RealParts['s3']

export const bucketPlace = ({ endpoint, bucket, region, accessKey, secretKey }: Bucket): Place => ({
  name: 'S3',
  open: (label) =>
    Promise.resolve([
      ['add', '-d', 'origin', `s3://${bucket}/dvc/${label}-${unique()}`],
      ['modify', 'origin', 'endpointurl', endpoint],
      ['modify', 'origin', 'region', region],
      ['modify', '--local', 'origin', 'access_key_id', accessKey],
      ['modify', '--local', 'origin', 'secret_access_key', secretKey],
    ]),
})

export const unique = (): string => Math.random().toString(36).slice(2, 8)
