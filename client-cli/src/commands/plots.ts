import { readFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { Context, Options } from '../command.ts'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { capture } from '../io/spawn.ts'
import { makeFolders } from '../io/make-folders.ts'
import { jsonText } from '../pipeline/json-value.ts'
import { type Drawing, drawingsOf, type PlotRevision } from '../pipeline/plot-drawings.ts'
import { type PagePart, plotPage } from '../pipeline/plot-page.ts'
import { fillTemplate } from '../pipeline/vega-spec.ts'
import type { Repo } from '../repo/repo.ts'
import { readPlots } from './plot-revisions.ts'
import { findTemplate } from './plot-template.ts'
import { reportErrored, withCache } from './revision-metrics.ts'

/** Collects the plots of the revisions and prints or writes what the options ask for. */
export async function showPlots(
  repo: Repo,
  context: Context,
  { targets, revs, options }: { targets: readonly string[]; revs: readonly string[]; options: Options },
): Promise<void> {
  checkOptions(targets, options)
  const revisions = await withCache(repo, (cache) => readPlots({ repo, cache, context }, revs, targets, options))
  reportErrored(
    context,
    'plots',
    revisions.filter(isErrored).map(({ rev }) => rev),
  )
  if (revisions.length === 0 && options['json'] !== true)
    context.report({ type: 'note', text: 'No plots were loaded, visualization file will not be created.' })
  const drawings = drawingsOf(revisions)
  for (const { errors } of drawings)
    for (const { rev, source, msg } of errors)
      if (source === undefined) context.report({ type: 'warning', text: `In '${rev}', ${msg.toLowerCase()}` })
  if (options['json'] === true) return printJson(repo, context, { drawings, revisions, options })
  if (options['showVega'] === true) return printVega(repo, context, drawings)
  if (drawings.length > 0) await writePage(repo, context, drawings, options)
}

function checkOptions(targets: readonly string[], options: Options): void {
  if (options['showVega'] !== true) return
  if (targets.length === 0) throw new CairnError('COMMAND_FAILED', 'please specify a target for `--show-vega`')
  if (targets.length > 1) throw new CairnError('COMMAND_FAILED', 'you can only specify one target for `--show-vega`')
  if (options['json'] === true)
    throw new CairnError('COMMAND_FAILED', "'--show-vega' and '--json' are mutually exclusive options.")
}

const isErrored = ({ error, sources }: PlotRevision): boolean =>
  error !== undefined || [...sources.values()].some((source) => 'error' in source)

const outOf = (repo: Repo, { out }: Options): string =>
  typeof out === 'string' ? out : (repo.config.get('plots', 'out_dir') ?? 'dvc_plots')

interface Printed {
  drawings: readonly Drawing[]
  revisions: readonly PlotRevision[]
  options: Options
}

function printJson(repo: Repo, context: Context, { drawings, revisions, options }: Printed): void {
  const folder = path.resolve(context.cwd, outOf(repo, options))
  const shown = new Map(
    drawings.map((drawing) => [drawing.name, jsonOf(repo, context, drawing, folder, options['split'] === true)]),
  )
  const errors = [
    ...drawings.flatMap(({ name, errors: found }) =>
      found.map(({ rev, source, type, msg }) => ({ name, rev, ...(source !== undefined && { source }), type, msg })),
    ),
    ...revisions.flatMap(({ rev, error }) => (error ? [{ rev, ...error }] : [])),
  ]
  const text = jsonText({ ...(errors.length > 0 && { errors }), ...(shown.size > 0 && { data: shown }) })
  context.report({ type: 'output', text })
}

function jsonOf(repo: Repo, context: Context, drawing: Drawing, folder: string, split: boolean): unknown[] {
  if (drawing.kind === 'image')
    return storeImages(drawing, folder).map(({ rev, file }) => ({ type: 'image', revisions: [rev], url: file }))
  const { plot, template } = drawing
  if (plot === undefined) return []
  const { spec, anchors } = fillTemplate(findTemplate(repo, context, template), plot, String(template ?? 'linear'), split)
  return [{ type: 'vega', revisions: plot.revisions, content: spec, ...(split && { anchor_definitions: anchors }) }]
}

/** Puts the images below a folder, which is made; gives back where, absolute. */
function storeImages(drawing: Drawing & { kind: 'image' }, folder: string): Array<{ rev: string; file: string }> {
  return drawing.images.map(({ rev, filename, bytes }) => {
    makeFolders(folder)
    const file = path.join(folder, `${rev}_${filename}`.replace(/[/\\]/g, '_'))
    writeFileAtomic(file, bytes)
    return { rev, file }
  })
}

function printVega(repo: Repo, context: Context, drawings: readonly Drawing[]): void {
  const first = drawings.find((drawing) => drawing.kind === 'vega')
  if (first?.kind !== 'vega') return
  context.report({ type: 'output', text: jsonText(first.plot === undefined ? {} : specOf(repo, context, first)) })
}

const specOf = (repo: Repo, context: Context, { plot, template }: Drawing & { kind: 'vega' }): unknown =>
  plot && fillTemplate(findTemplate(repo, context, template), plot, String(template ?? 'linear')).spec

async function writePage(repo: Repo, context: Context, drawings: readonly Drawing[], options: Options): Promise<void> {
  const folder = path.resolve(context.cwd, outOf(repo, options))
  const parts = drawings.flatMap((drawing): PagePart[] => {
    const { name } = drawing
    if (drawing.kind === 'vega') return drawing.plot ? [{ kind: 'vega', name, spec: specOf(repo, context, drawing) }] : []
    const stored = storeImages(drawing, path.join(folder, 'static'))
    return [
      {
        kind: 'image',
        name,
        images: stored.map(({ rev, file }) => ({ rev, src: `static/${encodeURIComponent(path.basename(file))}` })),
      },
    ]
  })
  const page = path.join(folder, 'index.html')
  const text = plotPage(parts, pageTemplate(repo, context, options))
  makeFolders(folder)
  writeFileAtomic(page, text)
  const url = pathToFileURL(page).href
  context.report({ type: 'result', text: url })
  const always = repo.config.get('plots', 'auto_open') === 'true'
  if (options['open'] === true && !always)
    context.report({ type: 'result', text: 'To enable auto opening, you can run:\n\n\tdvc config plots.auto_open true' })
  if (options['open'] === true || always) await openInBrowser(url, context)
}

/** undefined: Cairn's own page. @throws CairnError COMMAND_FAILED when a template that is named cannot be read */
function pageTemplate(repo: Repo, context: Context, { htmlTemplate }: Options): string | undefined {
  const configured = repo.config.get('plots', 'html_template')
  const named =
    typeof htmlTemplate === 'string'
      ? path.resolve(context.cwd, htmlTemplate)
      : configured && path.resolve(repo.dvcDir, configured)
  if (!named) return undefined
  try {
    return readFileSync(named, 'utf8')
  } catch (cause) {
    if (!isCode(cause, 'ENOENT', 'EISDIR', 'EACCES')) throw cause
    throw new CairnError('COMMAND_FAILED', `the HTML template '${named}' cannot be read`, { cause })
  }
}

async function openInBrowser(url: string, { cwd, signal }: Context): Promise<void> {
  const openers: Readonly<Record<string, string>> = { darwin: 'open', win32: 'explorer' }
  const opener = openers[process.platform] ?? 'xdg-open'
  try {
    await capture(opener, [url], { cwd, signal })
  } catch (cause) {
    if (!isCode(cause, 'ENOENT')) throw cause
    throw new CairnError('COMMAND_FAILED', `failed to open '${url}': there is no '${opener}' on PATH`, { cause })
  }
}
