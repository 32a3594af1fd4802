import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { Context, Options } from '../command.ts'
import { type DefinitionOptions, plotDefinitionsOf, sourcesOf } from '../pipeline/plot-definitions.ts'
import type { PlotRevision } from '../pipeline/plot-drawings.ts'
import { type PlotSource, readPlotSource } from '../pipeline/plot-sources.ts'
import { openContent, type RevisionContent } from '../pipeline/revision-content.ts'
import type { Repo } from '../repo/repo.ts'
import { propsOf } from './plot-options.ts'
import { namingIn, stageFileFailure, treeOf } from './revision-metrics.ts'
import { rootRelative } from './root-relative.ts'

interface Session {
  repo: Repo
  cache: ObjectCache
  context: Context
}

/** The plots of each revision that has some, the workspace first. */
export async function readPlots(
  session: Session,
  revs: readonly string[],
  targets: readonly string[],
  options: Options,
): Promise<PlotRevision[]> {
  const { repo, context } = session
  const definition: DefinitionOptions = {
    targets,
    props: propsOf(options),
    name: namingIn(repo, context.cwd),
    locate: (shown) => rootRelative(repo, context.cwd, shown),
  }
  const ordered = [...new Set([...revs.filter((rev) => rev === 'workspace'), ...revs])]
  const revisions: PlotRevision[] = []
  for (const rev of ordered) {
    context.signal.throwIfAborted()
    const revision = await readRevision(session, rev, definition)
    if (revision.error || revision.definitions.size > 0) revisions.push(revision)
  }
  return revisions
}

async function readRevision({ repo, cache }: Session, rev: string, options: DefinitionOptions): Promise<PlotRevision> {
  const tree = treeOf(repo, rev)
  try {
    const content = await openContent(repo, tree, cache)
    const definitions = await plotDefinitionsOf(content, options)
    const files = new Set([...definitions.values()].flatMap((plots) => [...plots].flatMap(([id, props]) => sourcesOf(id, props))))
    return { rev, definitions, sources: await readSources(content, [...files], options) }
  } catch (error) {
    if (!(error instanceof CairnError) || error.code !== 'STAGE_FILE_INVALID') throw error
    return { rev, definitions: new Map(), sources: new Map(), error: stageFileFailure(error) }
  }
}

/** Only outputs say that their first line is no header; a definition at the top of dvc.yaml cannot. */
async function readSources(
  content: RevisionContent,
  files: readonly string[],
  { props, name, locate }: DefinitionOptions,
): Promise<Map<string, PlotSource>> {
  const sources = new Map<string, PlotSource>()
  for (const shown of files) {
    const file = locate(shown)
    const out = content.pipelines.stages.flatMap((stage) => stage.outs).find((each) => each.plot && each.path === file)
    const header = (props['header'] ?? out?.plot?.['header']) !== false
    sources.set(path.posix.normalize(shown), await readPlotSource(content, file, { header, name }))
  }
  return sources
}
