import type { Project } from '@cairn/protocol/api'
import { CairnError } from '@cairn/protocol/error'
import type { ProjectRow } from './ports.ts'
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
  const row = await stores.catalog.findProject(slug)
  if (!row || !reaches(principal, slug)) {
    throw new CairnError('PROJECT_UNKNOWN', `no project '${slug.slice(0, 64)}' for this token`, {
      hint: 'Check the name in the remote URL, and which projects the token reaches (`cairn token list`).',
    })
  }
  return row
}
