import type { Project } from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import type { Catalog, ProjectRow } from './ports/catalog.ts'
import type { Clock } from './ports/clock.ts'
import { type Principal, reaches } from './principal.ts'
import type { Stores } from './stores.ts'

/** @throws CairnError PROJECT_EXISTS */
export async function createProject(stores: Stores, slug: string, tokenId: string | undefined): Promise<Project> {
  const row = await stores.catalog.createProject(slug)
  if (!row) throw new CairnError('PROJECT_EXISTS', `a project named '${slug}' exists`)
  await stores.catalog.audit({ action: 'project.created', tokenId, project: slug })
  return describeProject(stores, row)
}

/** The projects that the principal reaches. */
export async function listProjects(stores: Stores, principal: Principal): Promise<Project[]> {
  const rows = (await stores.catalog.listProjects()).filter((row) => reaches(principal, row.slug))
  const projects: Project[] = []
  for (const row of rows) projects.push(await describeProject(stores, row))
  return projects
}

export async function describeProject(stores: Stores, row: ProjectRow): Promise<Project> {
  const usage = await stores.catalog.usage(row.id)
  return {
    slug: row.slug,
    createdAt: row.createdAt.toISOString(),
    objects: usage.objects,
    bytes: usage.bytes,
    damaged: usage.damaged,
  }
}

/** @throws CairnError PROJECT_UNKNOWN, the same whether there is no such project or the principal does not reach it */
export async function findProject(stores: Stores, principal: Principal, slug: string): Promise<ProjectRow> {
  // A name beyond reach is not looked up: the time of the answer would tell whether it exists.
  const row = reaches(principal, slug) ? await stores.catalog.findProject(slug) : undefined
  if (row) return row
  throw new CairnError('PROJECT_UNKNOWN', `no project '${slug.slice(0, 64)}' for this token`, {
    hint: 'Check the name in the remote URL, and which projects the token reaches (`cairn token list`).',
  })
}

const REMEMBERED = 1000
const REMEMBER_MILLISECONDS = 4000

/** The same catalog, which asks the database for a known project at most every few seconds: every request begins with one. */
export function rememberProjects(catalog: Catalog, clock: Clock): Catalog {
  const known = new Map<string, { row: ProjectRow; at: number }>()
  return {
    ...catalog,
    async findProject(slug) {
      const now = clock.now().getTime()
      const remembered = known.get(slug)
      if (remembered && now - remembered.at < REMEMBER_MILLISECONDS) return remembered.row
      const row = await catalog.findProject(slug)
      if (known.size >= REMEMBERED) known.clear()
      if (row) known.set(slug, { row, at: now })
      return row
    },
  }
}
