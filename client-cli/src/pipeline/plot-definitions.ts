import path from 'node:path/posix'
import type { Naming } from './read-content.ts'
import type { RevisionContent } from './revision-content.ts'
import { folderOf, relativeTo } from './stage-path.ts'
import { entriesOf } from './yaml-text.ts'

/** How a plot is drawn: `x`, `y`, `template`, `title`, `x_label`, `y_label`, `header`; axes are a field, fields, or fields by file. */
export type PlotProps = Readonly<Record<string, unknown>>

/** By the file that defines it ('' for outputs of stages and for targets) and by its id. Paths are as the person sees them. */
export type PlotDefinitions = Map<string, Map<string, PlotProps>>

export interface DefinitionOptions {
  targets: readonly string[]
  /** From the command line; they win. */
  props: PlotProps
  /** Root-relative to what the person sees, and back. */
  name: Naming
  locate: Naming
}

/** The plots of a revision: of the top of every dvc.yaml, of stages' outputs, and of targets that are files. */
export async function plotDefinitionsOf(content: RevisionContent, options: DefinitionOptions): Promise<PlotDefinitions> {
  const definitions: PlotDefinitions = new Map()
  for (const [file, { plots }] of content.pipelines.files)
    if (plots.length > 0) await defineTop(definitions, content, file, plots, options)
  for (const stage of content.pipelines.stages) {
    for (const out of stage.outs) {
      const shown = options.name(out.path)
      if (out.plot && isWanted(options.targets, options.name(stage.file), shown))
        await defineFiles(definitions, content, '', shown, { ...out.plot, ...options.props }, options)
    }
  }
  for (const target of options.targets) {
    const found = await content.read(options.locate(target))
    const isFolder = (await content.expand(options.locate(target)))[0] !== options.locate(target)
    if (definitions.size === 0 || 'bytes' in found || isFolder)
      await defineFiles(definitions, content, '', target, options.props, options)
  }
  return definitions
}

type TopPlots = ReadonlyArray<{ id: string; properties: unknown }>

async function defineTop(
  definitions: PlotDefinitions,
  content: RevisionContent,
  file: string,
  plots: TopPlots,
  options: DefinitionOptions,
): Promise<void> {
  const shownFile = options.name(file)
  definitions.set(shownFile, definitions.get(shownFile) ?? new Map<string, PlotProps>())
  const folder = path.dirname(shownFile)
  const entries = plots.map(({ id, properties }) => {
    const raw = relativeTo(folderOf(file), id)
    return { raw, located: path.join(folder, raw), props: propsOf(properties) }
  })
  for (const { raw, located, props } of entries) {
    if (!isWanted(options.targets, shownFile, raw)) continue
    if (entriesOf(props['y']) !== undefined) {
      merge(definitions, shownFile, raw, { ...locatedAxes(props, folder), ...options.props })
      continue
    }
    const closest = (each: string) => closestOf(each, entries) === located
    await defineFiles(definitions, content, shownFile, located, { ...props, ...options.props }, options, closest)
  }
}

const propsOf = (properties: unknown): PlotProps =>
  Object.fromEntries((entriesOf(properties) ?? []).map(([key, value]) => [String(key), value]))

/** Files named by the axes, as the person sees them. */
function locatedAxes(props: PlotProps, folder: string): PlotProps {
  const axis = (value: unknown) =>
    new Map((entriesOf(value) ?? []).map(([file, fields]) => [path.join(folder, String(file)), fields] as const))
  const { x } = props
  return { ...props, ...(x !== undefined && typeof x !== 'string' && { x: axis(x) }), y: axis(props['y']) }
}

/** The definition whose path is the longest beginning of a file's. */
function closestOf(file: string, entries: ReadonlyArray<{ located: string }>): string {
  let best = ''
  for (const { located } of entries) {
    const common = commonPath([file, located])
    if (common.length > best.length) best = common
  }
  return best
}

export function commonPath(paths: readonly string[]): string {
  const [first = [], ...others] = paths.map((each) => each.split('/'))
  const end = first.findIndex((step, at) => others.some((other) => other[at] !== step))
  return (end < 0 ? first : first.slice(0, end)).join('/')
}

async function defineFiles(
  definitions: PlotDefinitions,
  content: RevisionContent,
  owner: string,
  shown: string,
  props: PlotProps,
  { name, locate }: DefinitionOptions,
  keep: (file: string) => boolean = () => true,
): Promise<void> {
  const files = (await content.expand(locate(shown))).map(name)
  for (const file of files) if (keep(file)) merge(definitions, owner, path.normalize(file), props)
}

function merge(definitions: PlotDefinitions, owner: string, id: string, props: PlotProps): void {
  const plots = definitions.get(owner) ?? new Map<string, PlotProps>()
  definitions.set(owner, plots)
  plots.set(id, { ...plots.get(id), ...props })
}

/** Targets are beginnings of an id, or of `file::id`; they may be regular expressions, as in dvc. */
function isWanted(targets: readonly string[], file: string, id: string): boolean {
  return targets.length === 0 || targets.some((target) => startsWith(target, id) || startsWith(target, `${file}::${id}`))
}

function startsWith(target: string, text: string): boolean {
  if (text.startsWith(target)) return true
  try {
    return new RegExp(`^(?:${target})`).test(text)
  } catch {
    return false
  }
}

/** The files that a plot's points are read from. */
export function sourcesOf(id: string, { x, y }: PlotProps): string[] {
  const ys = entriesOf(y)
  const [first] = entriesOf(x) ?? []
  return [...new Set([...(ys ? ys.map(([file]) => String(file)) : [id]), ...(first ? [String(first[0])] : [])])]
}

/** Id and definition; an id that several files define is told apart by the file: `dvc.yaml::loss.csv`. */
export function byId(definitions: PlotDefinitions): Map<string, { inner: string; props: PlotProps }> {
  const owners = new Map<string, Array<{ owner: string; props: PlotProps }>>()
  for (const [owner, plots] of definitions)
    for (const [inner, props] of plots) owners.set(inner, [...(owners.get(inner) ?? []), { owner, props }])
  return new Map(
    [...owners].flatMap(([inner, found]) =>
      found.map(
        ({ owner, props }) => [found.length === 1 || owner === '' ? inner : `${owner}::${inner}`, { inner, props }] as const,
      ),
    ),
  )
}
