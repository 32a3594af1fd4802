import type { Field, FieldReader } from './field-reader.ts'

/** Throws unless a field has the shape. */
type Shape = (field: Field, reader: FieldReader) => void

const anything: Shape = () => undefined

const text: Shape = (field, reader) => {
  if (field.node.kind !== 'scalar' || typeof field.node.value !== 'string') throw reader.fail('expected str', field)
}

const flag: Shape = (field, reader) => {
  if (field.node.kind !== 'scalar' || typeof field.node.value !== 'boolean') throw reader.fail('expected bool', field)
}

const nothing: Shape = (field, reader) => {
  if (field.node.kind !== 'scalar' || field.node.value !== null) throw reader.fail('expected a mapping', field)
}

function listOf(each: Shape): Shape {
  return (field, reader) => {
    if (field.node.kind !== 'seq') throw reader.fail('expected a list', field)
    for (const entry of reader.list(field)) each(entry, reader)
  }
}

function mapOf(each: Shape): Shape {
  return (field, reader) => {
    for (const [, entry] of reader.map(field)) each(entry, reader)
  }
}

function fieldsOf(known: Readonly<Record<string, Shape>>, required: readonly string[] = []): Shape {
  const allowed = new Map(Object.entries(known))
  const keys = new Set(allowed.keys())
  return (field, reader) => {
    const fields = reader.map(field)
    reader.only(fields, keys)
    for (const key of required) if (!fields.has(key)) throw reader.fail(`required key '${key}' not provided`, field)
    for (const [key, entry] of fields) allowed.get(key)?.(entry, reader)
  }
}

/** By what kind of node stands there; the first shape's words when it is none of them. */
function either(shapes: { scalar?: Shape; seq?: Shape; map?: Shape }): Shape {
  const first = shapes.scalar ?? shapes.map ?? shapes.seq ?? anything
  return (field, reader) => (shapes[field.node.kind] ?? first)(field, reader)
}

const ANNOTATIONS = { desc: text, type: text, labels: listOf(text), meta: anything }
const OUT_FLAGS = { ...ANNOTATIONS, cache: flag, persist: flag, checkpoint: flag, remote: text, push: flag }
const PLOT_FLAGS = fieldsOf({
  ...OUT_FLAGS,
  template: text,
  x: text,
  y: text,
  x_label: text,
  y_label: text,
  title: text,
  header: flag,
})
const OUTS = listOf(either({ scalar: text, map: mapOf(fieldsOf(OUT_FLAGS)) }))
const VARS = listOf(either({ scalar: text, map: anything, seq: fieldsOf({}) }))

const STAGE = fieldsOf(
  {
    matrix: mapOf(either({ scalar: text, seq: anything })),
    cmd: either({ scalar: text, seq: anything }),
    wdir: text,
    deps: listOf(text),
    params: listOf(either({ scalar: text, map: anything })),
    vars: VARS,
    frozen: flag,
    meta: anything,
    desc: text,
    always_changed: flag,
    outs: OUTS,
    metrics: OUTS,
    plots: listOf(either({ scalar: text, map: mapOf(either({ map: PLOT_FLAGS, seq: listOf(PLOT_FLAGS) })) })),
  },
  ['cmd'],
)
const FOREACH = fieldsOf({ foreach: either({ scalar: text, map: anything, seq: anything }), do: STAGE }, ['foreach', 'do'])

const isForeach = (field: Field): boolean =>
  field.node.kind === 'map' && field.node.entries.some(({ name }) => name === 'foreach' || name === 'do')

const PLOT = fieldsOf({
  x: either({ scalar: text, map: mapOf(text) }),
  y: either({ scalar: text, seq: listOf(text), map: mapOf(either({ scalar: text, seq: listOf(text) })) }),
  x_label: text,
  y_label: text,
  title: text,
  template: text,
})

const PIPELINE = fieldsOf({
  vars: VARS,
  stages: mapOf((field, reader) => (isForeach(field) ? FOREACH : STAGE)(field, reader)),
  params: listOf(text),
  metrics: listOf(text),
  plots: listOf(either({ scalar: text, map: mapOf(either({ scalar: nothing, map: PLOT })) })),
  artifacts: mapOf(fieldsOf({ path: text, ...ANNOTATIONS }, ['path'])),
  datasets: anything,
})

/**
 * Checks what stands in dvc.yaml before anything in it is resolved.
 * @throws CairnError STAGE_FILE_INVALID naming file, key and line
 */
export function checkPipeline(root: Field, reader: FieldReader): void {
  PIPELINE(root, reader)
}
