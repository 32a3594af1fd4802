import path from 'node:path'
import type { Digest } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { compareCodePoints, type TreeEntry } from '@cairn/protocol/tree'
import { makeFolders } from '../io/make-folders.ts'
import type { Context, Options } from '../command.ts'
import { mapLimit } from '../io/limit.ts'
import { recordedOf } from '../pipeline/run-stage.ts'
import { writeStage } from '../pipeline/save-stage.ts'
import { stageMd5 } from '../pipeline/stage-md5.ts'
import { isUrl } from '../pipeline/stage-path.ts'
import type { Dep, Out, Recorded, Stage } from '../pipeline/stage.ts'
import { locateUrl, openUrlSource } from '../remote/open-source.ts'
import type { UrlLook, UrlSource } from '../remote/url-source.ts'
import { addToGitIgnore } from '../repo/git-ignore.ts'
import { pushOutputs } from '../transfer/push.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { bringContent } from './foreign-content.ts'
import { withForeign } from './foreign-options.ts'
import { folderIn } from './root-relative.ts'
import type { Session } from './session.ts'
import { failForLeft, transferOptions, withRemote } from './transfer.ts'

/** What becomes of what is brought: `place` it in the workspace, only `record` where it is, or send it `to-remote`. */
export type Fate = 'place' | 'record' | 'to-remote'

export function fateOf(options: Options): Fate {
  if (options['toRemote'] === true) return 'to-remote'
  return options['download'] === false ? 'record' : 'place'
}

export interface Importing {
  session: Session
  context: Context
  options: Options
  fate: Fate
  force: boolean
}

/** True for a stage that says where its one output comes from. */
export const isImport = (stage: Stage): boolean =>
  stage.cmd === undefined && stage.kind !== 'pipeline' && stage.deps.length === 1 && stage.outs.length === 1

/** The revision that an import follows, and the commit that it stands at. */
export const repoOf = (
  dep: Dep | undefined,
): { url: string; rev: string | undefined; commit: string | undefined } | undefined => {
  const repo = dep?.source?.repo
  if (repo === undefined) return undefined
  const text = (key: string) => (typeof repo[key] === 'string' ? (repo[key] as string) : undefined)
  return { url: text('url') ?? '', rev: text('rev'), commit: text('rev_lock') }
}

/** Says `Importing 'x' -> 'y'`. */
export function announce({ session, context }: Importing, source: string, stage: Stage): void {
  const out = path.posix.relative(`/${folderIn(session.repo, context.cwd)}`, `/${stage.outs[0]?.path ?? ''}`)
  context.report({ type: 'result', text: `Importing '${source}' -> '${out}'` })
}

/** Brings the current content of what the stage imports; the stage with all of it recorded, not written yet. */
export async function bringImport(importing: Importing, stage: Stage): Promise<Stage> {
  return repoOf(stage.deps[0]) === undefined ? bringFromUrl(importing, stage) : bringFromRepo(importing, stage)
}

/** Where the path or url of another repository may be relative to. */
export const foldersFor = ({ session, context }: Importing, stage: Stage): string[] => [
  context.cwd,
  path.join(session.repo.root, stage.wdir),
  session.repo.root,
]

async function bringFromRepo(importing: Importing, stage: Stage): Promise<Stage> {
  const { session, context, options } = importing
  const [dep] = stage.deps
  const source = repoOf(dep)
  if (dep === undefined || source === undefined) return stage
  const where = {
    context,
    options: withRemoteOf(dep, options),
    from: foldersFor(importing, stage),
    workspace: false,
    rev: source.rev,
  }
  return withForeign(source.url, where, async (foreign) => {
    announce(importing, `${dep.path} (${source.url})`, stage)
    const { cache } = session.workspace
    const remote = remoteNameOf(dep, options)
    const reading = { foreign, cache, context, remote, tmpDir: session.repo.tmpDir }
    const repo = { ...dep.source?.repo }
    delete repo['rev_lock']
    const { url, rev, ...rest } = repo
    const locked = { url, ...(rev !== undefined && { rev }), ...(foreign.commit && { rev_lock: foreign.commit }), ...rest }
    const after: Stage = { ...stage, deps: [{ ...dep, source: { ...dep.source, repo: locked } }] }
    if (importing.fate === 'record') return withOut(after, undefined)
    const { digest, isexec } = await bringContent(reading, dep.path)
    return takeOut(importing, after, { digest, isexec })
  })
}

function withRemoteOf(dep: Dep, options: Options): Options {
  const { config, remote } = dep.source?.repo ?? {}
  const pairs =
    typeof remote === 'object' && remote !== null ? Object.entries(remote).map(([key, value]) => `${key}=${value}`) : []
  const { rev: _rev, remote: _remote, ...rest } = options
  return {
    ...rest,
    ...(typeof config === 'string' && { config }),
    ...(pairs.length > 0 && { remoteConfig: pairs }),
    ...(typeof remote === 'string' && { remote }),
  }
}

const remoteNameOf = (dep: Dep, _options: Options): string | undefined => {
  const remote = dep.source?.repo?.['remote']
  return typeof remote === 'string' ? remote : undefined
}

async function bringFromUrl(importing: Importing, stage: Stage): Promise<Stage> {
  const { session, context } = importing
  const [dep] = stage.deps
  if (dep === undefined) return stage
  const target = locateUrl(session.repo, dep.path)
  const source = await openUrlSource(target, context, session.repo)
  if (source === undefined) return bringFromPath(importing, stage, dep, isUrl(dep.path) ? target.url : dep.path)
  try {
    announce(importing, isUrl(dep.def) ? dep.def : source.url, stage)
    const look = await source.look(context.signal)
    if (look === undefined) throw absent(dep.def)
    const after: Stage = { ...stage, deps: [withLook(dep, look)] }
    if (importing.fate === 'record') return withOut(after, undefined)
    return await takeOut(importing, after, { digest: await bringLook(source, look, session.workspace, context), isexec: false })
  } finally {
    await source.close()
  }
}

export const absent = (name: string): CairnError => new CairnError('FAILED', `dependency '${name}' does not exist`, { exit: 1 })

export function withLook(dep: Dep, look: UrlLook): Dep {
  const { size: _size, nfiles: _nfiles, hash: _hash, ...rest } = dep.extra ?? {}
  const nfiles = look.folder ? look.files.length : undefined
  if (look.digest !== undefined) {
    const { extra: _extra, ...bare } = dep
    const recorded = { digest: look.digest, size: look.size ?? 0, nfiles: look.files.length }
    return { ...bare, recorded, ...(Object.keys(rest).length > 0 && { extra: rest }) }
  }
  return {
    ...dep,
    source: {
      ...dep.source,
      ...(look.etag !== undefined && { etag: look.etag }),
      ...(look.checksum !== undefined && { checksum: look.checksum }),
    },
    extra: {
      ...(look.size !== undefined && { size: look.size }),
      ...(nfiles !== undefined && { nfiles }),
      hash: 'md5',
      ...rest,
    },
  }
}

/** Of a folder's files, at a time. */
const BODIES = 8

/** Takes all that stands behind a url into the cache: a file, or a folder as a tree. */
export async function bringLook(
  source: UrlSource,
  look: UrlLook,
  { cache }: Pick<Workspace, 'cache'>,
  { signal }: Pick<Context, 'signal'>,
): Promise<Digest> {
  if (!look.folder) return (await source.bring('', cache, signal)).digest
  const entries = await mapLimit(look.files, BODIES, async ({ path: file }): Promise<TreeEntry> => {
    const { digest } = await source.bring(file, cache, signal)
    return { path: file, digest }
  })
  return cache.storeTree(entries.toSorted((a, b) => compareCodePoints(a.path, b.path)))
}

/** From a path of this machine, whose content has an md5 like any other. */
async function bringFromPath(importing: Importing, stage: Stage, dep: Dep, file: string): Promise<Stage> {
  const { workspace, repo } = importing.session
  const absolute = path.resolve(repo.root, file)
  announce(importing, absolute, stage)
  const content = await workspace.contentOf(absolute)
  if (content === undefined) throw absent(absolute)
  const { isexec: _isexec, ...recorded } = recordedOf(content)
  const { hash: _hash, ...extra } = dep.extra ?? {}
  const { extra: _extra, ...bare } = dep
  const after: Stage = { ...stage, deps: [{ ...bare, recorded, ...(Object.keys(extra).length > 0 && { extra }) }] }
  if (importing.fate === 'record') return withOut(after, undefined)
  for (const entry of content.entries ?? [{ path: '', digest: content.digest }])
    if (!workspace.cache.isSound(entry.digest)) workspace.cache.storeFile(entry.digest, path.join(absolute, entry.path), 'copy')
  if (content.entries !== undefined) workspace.cache.storeTree(content.entries)
  return takeOut(importing, after, { digest: content.digest, isexec: false })
}

/** What was brought goes into the workspace, or to the remote. */
async function takeOut(importing: Importing, stage: Stage, made: { digest: Digest; isexec: boolean }): Promise<Stage> {
  const { session, context, options, force } = importing
  const { workspace, repo } = session
  const [out] = stage.outs
  if (out === undefined) return stage
  if (importing.fate === 'to-remote') {
    const name = options['remote'] as string | undefined
    const outputs = [{ path: out.path, digest: made.digest }]
    const { left } = await withRemote(repo, name, context, workspace.cache, (remote) =>
      pushOutputs({ remote, cache: workspace.cache, outputs, options: transferOptions(context, options) }),
    )
    failForLeft(context, left, 'upload')
    return withOut(stage, sizedIn(workspace, made.digest))
  }
  makeFolders(path.dirname(path.join(repo.root, out.path)))
  const wanted = { path: out.path, digest: made.digest, isexec: made.isexec, kind: 'data' as const }
  const { failed } = await workspace.checkout([wanted], { force, relink: false, removeStale: false })
  if (failed.length > 0) throw new CairnError('CACHE_MISSING', `'${out.path}' lost objects of the cache while it was imported`)
  return withOut(stage, recordedOf(await workspace.save(out.path, { kind: 'data', cache: true, previous: made.digest })))
}

function sizedIn({ cache }: Pick<Workspace, 'cache'>, digest: Digest): Recorded {
  const sizeOf = (each: Digest) => cache.soundStat(each)?.size ?? 0
  if (!digest.endsWith('.dir')) return { digest, size: sizeOf(digest) }
  const entries = cache.readTree(digest)
  return { digest, size: entries.reduce((sum, entry) => sum + sizeOf(entry.digest), 0), nfiles: entries.length }
}

function withOut(stage: Stage, recorded: Recorded | undefined): Stage {
  const outs = stage.outs.map(({ recorded: _recorded, ...out }): Out => ({ ...out, ...(recorded && { recorded }) }))
  const { md5: _md5, ...bare } = stage
  const after = { ...bare, outs }
  return { ...after, md5: stageMd5(after) }
}

/** Writes the stage's file, and has Git ignore its output. */
export function writeImport({ repo, touched }: Session, stage: Stage): void {
  for (const out of stage.outs) {
    const ignoreFile = addToGitIgnore(repo, out.path)
    if (ignoreFile !== undefined) touched.add(ignoreFile)
  }
  for (const file of writeStage(repo, stage)) touched.add(file)
}
