import { isDeepStrictEqual } from 'node:util'
import { dumpDefinition } from './pipeline-document.ts'
import { definitionsOf, type PipelineText, readPipeline, stageOf, textOf, withoutEscapes } from './pipeline-file.ts'
import { folderOf, locate, relativeTo } from './stage-path.ts'
import type { Stage } from './stage.ts'
import { usesTemplates } from './template-marks.ts'
import { editYaml } from './yaml-edit.ts'
import { readYaml, valueOf } from './yaml-read.ts'
import { entriesOf, writeYaml, type YamlValue } from './yaml-text.ts'

/**
 * dvc.yaml's text with the stage's definition edited in its place, or appended; unchanged when it already says the same.
 * @throws CairnError STAGE_FILE_INVALID when the text that stands there does not parse
 */
export function updatePipelineFile(previous: string | undefined, stage: Stage): string {
  if (stage.name === undefined) throw new Error(`${stage.file} has no stages by name`)
  const definition = dumpDefinition(stage)
  const known = previous === undefined ? undefined : standingStage(previous, stage.file, stage.name)
  if (known && isDeepStrictEqual(dumpDefinition(known), definition)) return previous ?? ''
  const node = previous === undefined ? undefined : readYaml(previous, stage.file)
  if (previous === undefined || node === undefined) return writeYaml(new Map([['stages', new Map([[stage.name, definition]])]]))
  const top = new Map(entriesOf(valueOf(node)))
  const stages = new Map(entriesOf(top.get('stages')))
  top.set('stages', stages.set(stage.name, definition) as YamlValue)
  return editYaml(previous, top, stage.file)
}

/** A run writes one stage after the other, and the text stays what it is. */
let lastRead: { text: string; file: string; read: PipelineText } | undefined

/** The stage that stands in the text under a name; undefined when there is none, or a template. */
function standingStage(text: string, file: string, name: string): Stage | undefined {
  if (lastRead?.text !== text || lastRead.file !== file) lastRead = { text, file, read: readPipeline(text, file) }
  const { read } = lastRead
  const found = definitionsOf(read).find((each) => each.name === name)
  if (!found || read.reader.map(found.field).has('foreach') || usesTemplates(found.field.node)) return undefined
  return stageOf(withoutEscapes(found), file, undefined, read.reader)
}

/** The metric files that the text names at its top, root-relative. */
export function listedMetrics(text: string, file: string): string[] {
  const { top, reader } = readPipeline(text, file)
  return reader.list(top.get('metrics')).map((each) => locate(folderOf(file), textOf(each, reader)))
}

/** dvc.yaml's text with a metric file (root-relative) named at its top, or no longer; undefined when nothing is left in it. */
export function editMetricList(previous: string | undefined, file: string, metric: string, named: boolean): string | undefined {
  const def = relativeTo(folderOf(file), metric)
  const node = previous === undefined ? undefined : readYaml(previous, file)
  if (previous === undefined || node === undefined) return named ? writeYaml({ metrics: [def] }) : previous
  const top = new Map(entriesOf(valueOf(node)))
  const listed = top.get('metrics')
  const metrics = Array.isArray(listed) ? (listed as YamlValue[]) : []
  if (metrics.includes(def) === named) return previous
  const left = named ? [...metrics, def] : metrics.filter((each) => each !== def)
  if (left.length > 0) top.set('metrics', left)
  else top.delete('metrics')
  return top.size === 0 ? undefined : editYaml(previous, top, file)
}

/** dvc.yaml's text without a stage; undefined when nothing is left in it. */
export function removeFromPipelineFile(previous: string, file: string, name: string): string | undefined {
  const node = readYaml(previous, file)
  if (node === undefined) return undefined
  const top = new Map(entriesOf(valueOf(node)))
  const stages = new Map(entriesOf(top.get('stages')))
  stages.delete(name)
  if (stages.size > 0) top.set('stages', stages as YamlValue)
  else top.delete('stages')
  return top.size === 0 ? undefined : editYaml(previous, top, file)
}
