import path from 'node:path'
import { type Digest, isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { fileOf } from '@cairn/protocol/tree'
import { listObjects, type Part, removeObjects, type StoredObject, treesFirst } from '../cache/sweep.ts'
import type { ObjectCache } from '../cache/object-cache.ts'
import type { Command, Context, Options } from '../command.ts'
import { confirm } from '../io/confirm.ts'
import { loadStages } from '../pipeline/load.ts'
import { openRemote, resolveRemote } from '../remote/open.ts'
import { openStore, type RemoteStore } from '../remote/remote-store.ts'
import { revisionTree, workingTree, type FileTree } from '../repo/file-tree.ts'
import { openRepo } from '../repo/open.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import type { Repo } from '../repo/repo.ts'
import { nameObjects, type Output, scanInside } from '../transfer/expand.ts'
import { commitsIn, describeScope, type Scope, scopeOf } from './gc-scope.ts'
import { humanSize } from './list-rows.ts'
import { withStages } from './session.ts'
import { byRemote, openCache, transferOptions } from './transfer.ts'

export const command: Command = {
  name: 'gc',
  summary: 'Delete from the cache what nothing uses that you choose to keep.',
  description:
    'Keeps what the workspace uses, and what the chosen branches, tags, commits and other projects use. With -c the same on the remote: everything else is lost there for everybody, so choose -A when in doubt, and look at --dry first.',
  options: [
    { flags: '-w, --workspace', summary: 'Keep what the workspace uses.' },
    { flags: '-a, --all-branches', summary: 'And what the tips of all branches use.' },
    { flags: '-T, --all-tags', summary: 'And what all tags use.' },
    { flags: '-A, --all-commits', summary: 'And what any commit uses.' },
    { flags: '--all-experiments', summary: 'And what all experiments use.' },
    { flags: '--rev <commit>', summary: 'And what this commit uses; with --num, those before it.' },
    { flags: '-n, --num <n>', summary: 'With --rev or -a: so many commits, counted back; -1 for all.' },
    { flags: '--date <date>', summary: 'And what commits since YYYY-MM-DD use.' },
    { flags: '--not-in-remote', summary: 'Of what is used, keep only what the remote lacks.' },
    { flags: '-p, --projects <path...>', summary: 'Keep what these projects use too, which share the cache or remote.' },
    { flags: '-c, --cloud', summary: 'Delete on the remote too.' },
    { flags: '-r, --remote <name>', summary: 'The remote to use instead of the default one.' },
    { flags: '--skip-failed', summary: 'Pass over commits whose stage files cannot be read.' },
    { flags: '-f, --force', summary: 'Do not ask.' },
    { flags: '-j, --jobs <n>', summary: 'How many at a time.' },
    { flags: '--dry', summary: 'Only print what would be deleted, with names and sizes.' },
  ],
  examples: ['cairn gc -w --dry', 'cairn gc -aT', 'cairn gc -w -A -c'],
  run: (context, _args, options) =>
    withStages(context, ({ repo }) => withRepoLock(repo, context.signal, () => collect(repo, context, options))),
}

async function collect(repo: Repo, context: Context, options: Options): Promise<number> {
  const scope = scopeOf(options)
  const projects = ((options['projects'] as string[] | undefined) ?? []).map((each) => path.resolve(context.cwd, each))
  // Asked before anything is deleted: a remote that cannot be swept must not be found out half-way.
  const store = options['cloud'] === true ? await openStoreOf(repo, context, options) : undefined
  const dry = options['dry'] === true
  context.report({ type: 'warning', text: describeScope(scope, projects) })
  if (!dry && options['force'] !== true && !(await confirm('Are you sure you want to proceed?'))) return 1
  const cache = openCache(repo)
  try {
    const outputs = await outputsIn(repo, scope, projects, { context, options })
    const used = await usedBy(repo, outputs, cache, { context, options })
    const nameOf = dry ? namesOf(cache, await everyOutput(repo, context)) : () => undefined
    const kept = scope.notInRemote ? await lackingOnRemote(repo, used, cache, { context, options }) : used
    for (const part of ['today', 'legacy'] as const) sweepCache(repo, part, kept, { context, dry, nameOf })
    if (store !== undefined)
      for (const part of ['today', 'legacy'] as const) await sweepStore(store, part, used, { context, dry, nameOf })
    return 0
  } finally {
    cache.close()
    await store?.close()
  }
}

interface Asking {
  context: Context
  options: Options
}

async function openStoreOf(repo: Repo, context: Context, options: Options): Promise<RemoteStore> {
  const name = options['remote'] as string | undefined
  const config = resolveRemote(repo, name === undefined ? repo.config.defaultRemote() : repo.config.remote(name))
  return openStore(config, context)
}

/** What the scope's revisions record, of this and the other projects. @throws CairnError when a revision cannot be read */
async function outputsIn(repo: Repo, scope: Scope, projects: readonly string[], { context, options }: Asking): Promise<Output[]> {
  const outputs = new Map<string, Output>()
  const take = async (each: Repo) => {
    const trees: Array<() => FileTree> = [() => workingTree(each)]
    for (const commit of await commitsIn(each.git, scope)) trees.push(() => revisionTree(each, commit))
    for (const open of trees) {
      context.signal.throwIfAborted()
      for (const output of await recordedIn(open(), options['skipFailed'] === true, context))
        outputs.set(`${output.digest}\0${output.remote ?? ''}`, output)
    }
  }
  await take(repo)
  for (const project of projects) {
    const other = openRepo(project, context.env)
    try {
      await take(other)
    } finally {
      await other.git?.close()
    }
  }
  return [...outputs.values()]
}

/** Imports and what is never pushed count too: the cache may hold the only copy. */
async function recordedIn(tree: FileTree, skipFailed: boolean, { report }: Context): Promise<Output[]> {
  try {
    return (await loadStages(tree)).flatMap(({ file, outs }) =>
      outs.flatMap(({ path: at, recorded, remote }) =>
        recorded === undefined ? [] : [{ path: at, digest: recorded.digest, file, ...(remote !== undefined && { remote }) }],
      ),
    )
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
    if (skipFailed) {
      report({ type: 'warning', text: `'${tree.rev}' cannot be read, skipping: ${error.message}` })
      return []
    }
    throw new CairnError(error.code, `Failed to collect '${tree.rev}': ${error.message}`, {
      cause: error,
      hint: 'Nothing was deleted. Pass over such commits with --skip-failed.',
    })
  }
}

/** Everything in use: outputs, and what the folders among them hold. Lists of folders that the cache lacks are fetched. */
async function usedBy(
  repo: Repo,
  outputs: readonly Output[],
  cache: ObjectCache,
  { context, options }: Asking,
): Promise<Set<Digest>> {
  const used = new Set(outputs.map((output) => output.digest))
  const unread = outputs.filter(
    (output) => isTree(output.digest) && !scanInside(cache, output, (entry) => used.add(fileOf(output.digest, entry))),
  )
  if (unread.length > 0) await fetchTrees(repo, unread, cache, { context, options })
  for (const output of unread) {
    if (scanInside(cache, output, (entry) => used.add(fileOf(output.digest, entry)))) continue
    context.report({
      type: 'warning',
      text: `The list of '${output.path}' (${output.digest}) is neither in the cache nor on the remote: what it held is not known.`,
    })
  }
  return used
}

async function fetchTrees(repo: Repo, trees: readonly Output[], cache: ObjectCache, { context, options }: Asking): Promise<void> {
  const chosen = options['remote'] as string | undefined
  for (const [name, group] of byRemote(trees, chosen)) {
    if (name === undefined && repo.config.get('core', 'remote') === undefined) continue
    const remote = await openRemote(repo, name, context, cache)
    try {
      await remote.fetch([...new Set(group.map((output) => output.digest))], cache, transferOptions(context, options))
    } finally {
      await remote.close()
    }
  }
}

async function lackingOnRemote(
  repo: Repo,
  used: ReadonlySet<Digest>,
  cache: ObjectCache,
  { context, options }: Asking,
): Promise<Set<Digest>> {
  const remote = await openRemote(repo, options['remote'] as string | undefined, context, cache)
  try {
    return await remote.findMissingFiles([...used], transferOptions(context, options))
  } finally {
    await remote.close()
  }
}

type NameOf = (digest: Digest) => string | undefined

interface Sweeping {
  context: Context
  dry: boolean
  nameOf: NameOf
}

function sweepCache(repo: Repo, part: Part, kept: ReadonlySet<Digest>, { context, dry, nameOf }: Sweeping): void {
  const unused = [...listObjects(repo.cacheDir, part)].filter(({ digest }) => !kept.has(digest))
  if (dry) describeObjects(unused, context, nameOf)
  else removeObjects(unused, context.signal)
  const name = part === 'today' ? 'repo' : 'legacy'
  const count = unused.length
  context.report({
    type: 'result',
    text: count === 0 ? `No unused '${name}' cache to remove.` : `Removed ${count} objects from ${name} cache.`,
  })
}

async function sweepStore(
  store: RemoteStore,
  part: Part,
  used: ReadonlySet<Digest>,
  { context, dry, nameOf }: Sweeping,
): Promise<void> {
  const unused: StoredObject[] = []
  for await (const object of store.list(part, context.signal)) if (!used.has(object.digest)) unused.push(object)
  if (dry) describeObjects(unused, context, nameOf)
  else await store.remove(treesFirst(unused), context.signal)
  const count = unused.length
  context.report({
    type: 'result',
    text: count === 0 ? 'No unused cache to remove from remote.' : `Removed ${count} objects from remote.`,
  })
}

function describeObjects(objects: readonly StoredObject[], { report }: Context, nameOf: NameOf): void {
  for (const { file, digest, size } of objects) {
    const name = nameOf(digest)
    report({ type: 'result', text: `Removing ${file} (${humanSize(size)}${name === undefined ? '' : `, ${name}`})` })
  }
}

/** What any commit records, for the names of what goes. */
async function everyOutput(repo: Repo, context: Context): Promise<Output[]> {
  const { git } = repo
  if (git === undefined) return recordedIn(workingTree(repo), true, context)
  const all = scopeOf({ allCommits: true })
  const found: Output[] = []
  const silent = { ...context, report: () => undefined }
  for (const commit of await commitsIn(git, all)) found.push(...(await recordedIn(revisionTree(repo, commit), true, silent)))
  return found
}

function namesOf(cache: ObjectCache, outputs: readonly Output[]): NameOf {
  const digests = new Set(
    ['today', 'legacy'].flatMap((part) => [...listObjects(cache.dir, part as Part)].map(({ digest }) => digest)),
  )
  const names = nameObjects(outputs, digests, cache)
  return (digest) => names.get(digest)
}
