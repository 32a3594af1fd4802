import { type Field, type FieldReader, isNull } from './field-reader.ts'
import type { LockedEntry } from './lock-file.ts'
import { locateOut } from './stage-path.ts'
import type { Out } from './stage.ts'

export type OutKind = 'outs' | 'metrics' | 'plots'

/** The properties that a plot may have beside an output's flags, in the order they are written in. */
export const PLOT_KEYS = ['template', 'x', 'y', 'x_label', 'y_label', 'title', 'header'] as const

/** The outputs of one of dvc.yaml's three lists: a path, or `{path: {flags}}`. */
export function outsOf(
  kind: OutKind,
  list: Field | undefined,
  wdir: string,
  recorded: ReadonlyMap<string, LockedEntry>,
  reader: FieldReader,
): Out[] {
  return reader.list(list).flatMap((each) => {
    if (each.node.kind === 'scalar') {
      const def = reader.text(each)
      if (def === undefined) throw reader.fail('expected str', each)
      return [outOf(kind, def, each, new Map(), wdir, recorded, reader)]
    }
    return [...reader.map(each)].map(([def, flags]) => outOf(kind, def, flags, flagsOf(flags, reader), wdir, recorded, reader))
  })
}

/** A plot may have several sets of properties; its flags are in the first. */
function flagsOf(field: Field, reader: FieldReader): Map<string, Field> {
  if (isNull(field)) return new Map()
  const [first] = field.node.kind === 'seq' ? reader.list(field) : [field]
  return first ? reader.map(first) : new Map()
}

function outOf(
  kind: OutKind,
  def: string,
  field: Field,
  flags: Map<string, Field>,
  wdir: string,
  recorded: ReadonlyMap<string, LockedEntry>,
  reader: FieldReader,
): Out {
  const entry = recorded.get(def)
  const remote = reader.text(flags.get('remote'))
  const desc = reader.text(flags.get('desc'))
  const extra = Object.fromEntries(['type', 'labels', 'meta'].flatMap((key) => plainEntry(key, flags, reader)))
  return {
    path: locateOut(wdir, def, field, reader),
    def,
    ...(entry?.recorded && { recorded: entry.recorded }),
    cache: reader.flag(flags.get('cache')) ?? true,
    persist: reader.flag(flags.get('persist')) ?? false,
    ...(kind === 'metrics' && { metric: {} }),
    ...(kind === 'plots' && { plot: Object.fromEntries(PLOT_KEYS.flatMap((key) => plainEntry(key, flags, reader))) }),
    ...(remote !== undefined && { remote }),
    push: reader.flag(flags.get('push')) ?? true,
    ...(desc !== undefined && { desc }),
    ...(Object.keys(extra).length > 0 && { extra }),
  }
}

function plainEntry(key: string, flags: ReadonlyMap<string, Field>, reader: FieldReader): Array<[string, unknown]> {
  const field = flags.get(key)
  return field && !isNull(field) ? [[key, reader.plain(field)]] : []
}
