import type pg from 'pg'
import type { Catalog, ProjectRow } from '../../domain/ports/catalog.ts'

type Projects = Pick<Catalog, 'createProject' | 'findProject' | 'listProjects' | 'usage'>

const COLUMNS = 'id, slug, created_at as "createdAt"'

export function createProjects(pool: pg.Pool): Projects {
  return {
    createProject: async (slug) => {
      const insert = `insert into project (slug) values ($1) on conflict (slug) do nothing returning ${COLUMNS}`
      return (await pool.query<ProjectRow>(insert, [slug])).rows[0]
    },
    findProject: async (slug) => (await pool.query<ProjectRow>(`select ${COLUMNS} from project where slug = $1`, [slug])).rows[0],
    listProjects: async () => (await pool.query<ProjectRow>(`select ${COLUMNS} from project order by slug`)).rows,
    usage: async (projectId) => {
      const { rows } = await pool.query<{ objects: number; bytes: number; damaged: number }>(
        `select count(*) filter (where state = 'live') as objects,
                coalesce(sum(size) filter (where state = 'live'), 0)::bigint as bytes,
                count(*) filter (where state = 'damaged') as damaged
         from object where project_id = $1`,
        [projectId],
      )
      return rows[0] ?? { objects: 0, bytes: 0, damaged: 0 }
    },
  }
}
