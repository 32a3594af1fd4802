import type { ObjectRow, ObjectState } from '../../domain/ports/catalog.ts'
import { digestOfRow } from './digest-array.ts'

export interface RawObject {
  id: number
  md5: string
  kind: number
  size: number
  sha256: Buffer
  state: ObjectState
  blobId: number
  key: string
  offset: number
  broken: boolean
}

/** From `object o join blob b left join tree t`. */
export const OBJECT_COLUMNS = `o.id, o.md5, o.kind, o.size, o.sha256, o.state, o.blob_id as "blobId", b.key,
  o.blob_offset as "offset", coalesce(t.broken, false) as broken`

export function objectOf({ md5, kind, ...rest }: RawObject): ObjectRow {
  return { ...rest, digest: digestOfRow({ md5, kind }) }
}
