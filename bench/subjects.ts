import { CAIRN } from '../test/rig/project.ts'
import { type BenchOptions, isExecutable } from './options.ts'
import { bucketPlace, cairnPlace, httpPlace } from './place.ts'
import type { CairnServer } from './servers.ts'
import type { Subject } from './subject.ts'
import type { World } from './world.ts'

/** Without a server: cairn, stock dvc, restic into a folder. */
export function localSubjects({ options, say }: World): Subject[] {
  const subjects: Subject[] = [{ name: 'cairn', tool: 'cairn', file: CAIRN }]
  if (isExecutable(options.dvc)) subjects.push({ name: 'dvc', tool: 'dvc', file: options.dvc })
  else say(`no stock dvc at ${options.dvc}: cairn is timed without it (node scripts/real-parts.mjs installs one)`)
  if (options.restic !== undefined) subjects.push({ name: 'restic → folder', tool: 'restic', file: options.restic })
  return chosen(subjects, options)
}

/** Puts something before a server, and returns where it answers then. */
export type Door = (url: string) => Promise<string>

/** Every tool with every place that it can push to; with `door`, through it. */
export async function transferSubjects(world: World, door?: Door): Promise<Subject[]> {
  const { options, servers, http } = world
  const at: Door = door ?? ((url) => Promise.resolve(url))
  const bucket = world.bucket && { ...world.bucket, endpoint: await at(world.bucket.endpoint) }
  const subjects: Subject[] = []
  for (const server of servers) {
    // A client learns the bucket's address from the server, so that a door before the bucket needs a server that names it.
    const own = door && bucket && isDirect(server) ? ((await world.behind(bucket.endpoint)) ?? server) : server
    const place = cairnPlace(own.name, { ...own, url: await at(own.url) })
    subjects.push({ name: `cairn → ${own.name}`, tool: 'cairn', file: CAIRN, place })
  }
  if (isExecutable(options.dvc)) {
    const places = [httpPlace(await at(http.url)), ...(bucket ? [bucketPlace(bucket)] : [])]
    const [embedded] = servers
    if (embedded) places.push(cairnPlace('Cairn', { ...embedded, url: await at(embedded.url) }))
    for (const place of places) subjects.push({ name: `dvc → ${place.name}`, tool: 'dvc', file: options.dvc, place })
  }
  if (options.restic !== undefined && bucket) subjects.push({ name: 'restic → S3', tool: 'restic', file: options.restic, bucket })
  return chosen(subjects, options)
}

export const isDirect = ({ name }: CairnServer): boolean => name === 'S3 direct'

function chosen(subjects: Subject[], { subjects: wanted }: BenchOptions): Subject[] {
  return subjects.filter((subject) => wanted.test(subject.name))
}
