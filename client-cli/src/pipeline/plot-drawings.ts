import { CairnError } from '@cairn/protocol/error'
import { byId, type PlotDefinitions, type PlotProps, sourcesOf } from './plot-definitions.ts'
import { type Series, seriesOf } from './plot-points.ts'
import { isImage, type PlotSource } from './plot-sources.ts'
import type { Failure } from './read-content.ts'
import type { Plot } from './vega-spec.ts'

/** What one revision has of plots. Files are named as the person sees them. */
export interface PlotRevision {
  rev: string
  definitions: PlotDefinitions
  sources: ReadonlyMap<string, PlotSource>
  /** Its stage files cannot be read; then there is nothing else. */
  error?: Failure
}

export interface DrawingError extends Failure {
  rev: string
  /** The file that cannot be read; undefined: the definition and the points do not go together. */
  source?: string
}

/** One plot over all revisions: points to draw by a template, or an image of each revision. */
export type Drawing = { name: string; errors: DrawingError[] } & (
  | { kind: 'vega'; plot: Plot | undefined; template: unknown }
  | { kind: 'image'; images: Array<{ rev: string; filename: string; bytes: Buffer }> }
)

/** Joins what the revisions have of the same plot. The first revision's properties win. */
export function drawingsOf(revisions: readonly PlotRevision[]): Drawing[] {
  const groups = new Map<string, Member[]>()
  for (const revision of revisions)
    for (const [id, { inner, props }] of byId(revision.definitions))
      groups.set(id, [...(groups.get(id) ?? []), { revision, inner, props }])
  return [...groups].map(([id, group]) => {
    const props: PlotProps = Object.assign({}, ...group.toReversed().map((each) => each.props))
    return group.some(({ inner }) => isImage(inner)) ? imageDrawing(group) : vegaDrawing(id, group, props)
  })
}

interface Member {
  revision: PlotRevision
  inner: string
  props: PlotProps
}

function imageDrawing(group: readonly Member[]): Drawing {
  const images = group.flatMap(({ revision, inner }) => {
    const source = revision.sources.get(inner)
    return source && 'bytes' in source ? [{ rev: revision.rev, filename: inner, bytes: source.bytes }] : []
  })
  return { kind: 'image', name: group[0]?.inner ?? '', images, errors: group.flatMap(sourceErrors) }
}

function vegaDrawing(id: string, group: readonly Member[], props: PlotProps): Drawing {
  const errors = group.flatMap(sourceErrors)
  const found: Array<{ rev: string; series: Series }> = []
  for (const { revision, inner, props: own } of group) {
    const series = attempt(() => seriesOf(inner, contentOf(revision, sourcesOf(inner, own)), props, revision.rev))
    if (series && 'type' in series) errors.push({ rev: revision.rev, ...series })
    else if (series) found.push({ rev: revision.rev, series })
  }
  const [first] = found
  const title = typeof props['title'] === 'string' ? props['title'] : id
  const plot = first && {
    ...first.series,
    title,
    revisions: [...new Set(found.map(({ rev }) => rev))],
    points: found.flatMap(({ series }) => series.points),
  }
  return { kind: 'vega', name: id, plot, template: first && props['template'], errors }
}

function sourceErrors({ revision, inner, props }: Member): DrawingError[] {
  return sourcesOf(inner, props).flatMap((file) => {
    const source = revision.sources.get(file)
    return source && 'error' in source ? [{ rev: revision.rev, source: file, ...source.error }] : []
  })
}

function contentOf({ sources }: PlotRevision, files: readonly string[]): Map<string, unknown> {
  const content = new Map<string, unknown>()
  for (const file of files) {
    const source = sources.get(file)
    if (source && 'data' in source) content.set(file, source.data)
  }
  return content
}

function attempt(read: () => Series | undefined): Series | Failure | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof CairnError) return { type: String(error.data?.['type'] ?? 'DvcException'), msg: error.message }
    throw error
  }
}
