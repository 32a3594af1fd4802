import type { CairnError } from '@cairn/protocol/error'
import { type Field, type FieldReader } from './field-reader.ts'
import type { Definition, PipelineText } from './pipeline-file.ts'
import { folderOf, locate } from './stage-path.ts'
import type { StageTemplate } from './stage.ts'
import { failAt, type Place, resolveField } from './template-resolve.ts'
import { usesTemplates } from './template-marks.ts'
import { foreachMembers, matrixMembers, type Member } from './template-groups.ts'
import { emptyScope, fork, loadDefault, loadVars, type Scope, type Var, within } from './template-scope.ts'
import { type Parsing, textOfValue } from './template-text.ts'
import type { MapNode, YamlNode } from './yaml-node.ts'
import { valueOf } from './yaml-read.ts'

export interface TemplateSource {
  /** The text of a root-relative file; undefined when there is none. */
  readText(file: string): Promise<string | undefined>
  parsing?: Parsing
}

interface Expansion extends TemplateSource {
  file: string
  reader: FieldReader
  scope: Scope
}

const SECTIONS = ['params', 'metrics', 'plots', 'artifacts', 'datasets'] as const

/** dvc.yaml without its templates: every stage that they stand for, and its other sections, with all `${…}` replaced. */
export interface Expanded {
  definitions: Definition[]
  top: ReadonlyMap<string, Field>
}

/**
 * Makes the stages that dvc.yaml's `vars`, `foreach`, `matrix` and `${…}` stand for.
 * @throws CairnError STAGE_FILE_INVALID naming file, key and line
 */
export async function expandTemplates({ top, file, reader }: PipelineText, source: TemplateSource): Promise<Expanded> {
  const expansion = { ...source, file, reader, scope: emptyScope() }
  await loadGlobalVars(top.get('vars'), expansion)
  const definitions: Definition[] = []
  for (const [name, field] of top.has('stages') ? reader.map(top.get('stages') as Field) : []) {
    for await (const definition of stagesOf(name, field, expansion)) definitions.push(definition)
  }
  const sections = SECTIONS.flatMap((section): Array<[string, Field]> => {
    const field = top.get(section)
    return field ? [[section, resolveField(field, placeOf(section, undefined, expansion))]] : []
  })
  return { definitions, top: new Map(sections) }
}

async function loadGlobalVars(field: Field | undefined, { file, reader, scope, readText }: Expansion): Promise<void> {
  const place = field ?? { node: { kind: 'scalar', value: null, source: '', line: 1, column: 1 }, trail: ['vars'] }
  const source = { folder: folderOf(file), readText, label: 'vars', fail: (what: string) => failAt('vars', place, what, file) }
  const vars = varsOf(field, 'vars', file, reader)
  await loadDefault(scope, source)
  await loadVars(scope, vars, source)
}

/** An entry of dvc.yaml as the stages that it makes: itself, or one for every member of its foreach or matrix. */
async function* stagesOf(name: string, field: Field, expansion: Expansion): AsyncGenerator<Definition> {
  const fields = expansion.reader.map(field)
  const [foreach, each, matrix] = [fields.get('foreach'), fields.get('do'), fields.get('matrix')]
  const at = (key: string) => placeOf(`stages.${name}.${key}`, undefined, expansion)
  if (foreach && each) yield* groupOf(name, each, foreachMembers(foreach, at('foreach')), expansion)
  else if (matrix) yield* groupOf(name, field, matrixMembers(matrix, at('matrix'), expansion.reader), expansion)
  else yield await stageOf(name, field, expansion)
}

async function* groupOf(group: string, field: Field, members: readonly Member[], expansion: Expansion) {
  for (const { name, iteration } of members) {
    const member = { ...expansion, scope: within(expansion.scope, iteration) }
    yield await stageOf(`${group}@${name}`, field, member, group)
  }
}

async function stageOf(name: string, field: Field, expansion: Expansion, group?: string): Promise<Definition> {
  const fields = expansion.reader.map(field)
  const vars = fields.get('vars')
  const scope = vars ? await stageScope(name, vars, fields.get('wdir'), expansion) : expansion.scope
  const used: StageTemplate['used'] & Map<string, Map<string, unknown>> = new Map()
  const node: MapNode = {
    ...(field.node as MapNode),
    entries: (field.node as MapNode).entries.flatMap((entry) => {
      if (entry.name === 'vars' || entry.name === 'matrix') return []
      const place = { ...placeOf(`stages.${name}.${entry.name}`, entry.name, { ...expansion, scope }), used }
      const { node } = resolveField({ node: entry.node, trail: [...field.trail, entry.name] }, place)
      return [{ ...entry, node: entry.name === 'desc' ? asText(node) : node }]
    }),
  }
  const templated = group !== undefined || vars !== undefined || usesTemplates(field.node)
  return {
    name,
    field: { node, trail: ['stages', name] },
    ...(templated && { template: { ...(group !== undefined && { group }), used } }),
  }
}

/** A description is a text, whatever value it is made of. */
const asText = (node: YamlNode): YamlNode => (node.kind === 'scalar' ? { ...node, value: node.source } : node)

/** The stage's own `vars` beside the global ones; its files are relative to its working directory. */
async function stageScope(name: string, vars: Field, wdir: Field | undefined, expansion: Expansion): Promise<Scope> {
  const { file, reader, readText } = expansion
  const where = `stages.${name}.vars`
  const fail = (what: string): CairnError => failAt(where, vars, what, file)
  const entries = varsOf(vars, where, file, reader)
  const resolved = wdir && resolveField(wdir, placeOf(`stages.${name}.wdir`, undefined, expansion))
  const folder = resolved ? locate(folderOf(file), textOfValue(valueOf(resolved.node), fail)) : folderOf(file)
  const scope = fork(expansion.scope)
  await loadVars(scope, entries, { folder, readText, label: `${name}.vars`, fail })
  return scope
}

function varsOf(field: Field | undefined, where: string, file: string, reader: FieldReader): Var[] {
  if (field === undefined) return []
  if (usesTemplates(field.node)) throw failAt(where, field, 'interpolating is not allowed', file)
  return reader.list(field).map((each) => valueOf(each.node) as Var)
}

function placeOf(where: string, key: string | undefined, { scope, file, parsing }: Expansion): Place {
  return { where, file, scope, ...(key !== undefined && { key }), ...(parsing && { parsing }) }
}
