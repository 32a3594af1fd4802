import { createWorkstation, type Workstation } from './project.ts'
import type { TestServer } from './server.ts'

/** A repository whose remote is a new project of the server. `url` is that of the server or of a proxy before it. */
export async function createSharedProject(server: TestServer, url: string, slug: string): Promise<Workstation> {
  await server.createProject(slug)
  const station = createWorkstation({ env: { CAIRN_TOKEN: await server.token(['read', 'write'], [slug]) } })
  station.git('init', '-q', '-b', 'main')
  await station.cairn('init')
  await station.cairn('remote', 'add', '-d', 'origin', `${url}/dvc/${slug}`)
  return station
}

/** Another machine's clone, with a home of its own and the same token. */
export function cloneOf(station: Workstation): Workstation {
  const other = createWorkstation({ env: { CAIRN_TOKEN: station.env['CAIRN_TOKEN'] ?? '' } })
  other.git('clone', '-q', station.dir, other.dir)
  return other
}
