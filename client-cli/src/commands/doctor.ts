import { linkSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseDigest } from '@cairn/protocol/digest'
import { openObjectCache } from '../cache/object-cache.ts'
import { reflink, isNoReflink } from '../cache/copy-file.ts'
import type { Command, Context } from '../command.ts'
import { openRemote } from '../remote/open.ts'
import { configProblems } from '../repo/config-schema.ts'
import { readLevels } from '../repo/config.ts'
import { readGitStatus } from '../repo/git-status.ts'
import { findRoot, openRepo } from '../repo/open.ts'
import type { LinkType, Repo } from '../repo/repo.ts'
import { formatJson } from '../report/json.ts'
import { cairnVersion } from '../version.ts'
import { command as versionCommand } from './version.ts'

/** A remote that does not answer for so long is told as one that does not. */
const REMOTE_MS = 5000

/** The digest of no bytes: asking for it is a question that every remote answers. */
const ANY_DIGEST = parseDigest('d41d8cd98f00b204e9800998ecf8427e')

interface Findings {
  links: Record<LinkType, boolean>
  remotes: Array<{ name: string; url: string; reachable: boolean; problem?: string }>
  git: { branch: string | null; head: string | null; dirty: boolean } | null
  config: string[]
}

export const command: Command = {
  name: 'doctor',
  summary: 'Print the version, and try what a repository needs: links, remotes, Git, the configuration.',
  description: 'What a bug report should say. Changes nothing. Ends with 1 when something is wrong.',
  options: [{ flags: '--json', summary: 'Print what was found as JSON.' }],
  examples: ['cairn doctor', 'cairn doctor --json'],
  async run(context, args, options) {
    const isJson = options['json'] === true
    if (!isJson) await versionCommand.run(context, args, {})
    const repo = findRoot(context.cwd).root === undefined ? undefined : openRepo(context.cwd, context.env)
    const found = repo && (await examine(repo, context))
    const text = isJson ? formatJson({ ...machine(), repository: found ?? null }) : found && describe(found)
    if (text !== undefined && text !== '') context.report({ type: 'output', text })
    return found === undefined || (found.config.length === 0 && found.remotes.every(({ reachable }) => reachable)) ? 0 : 1
  },
}

const machine = () => ({
  version: cairnVersion(),
  node: process.versions.node,
  system: `${os.type()} ${os.release()} ${os.arch()}`,
})

async function examine(repo: Repo, context: Context): Promise<Findings> {
  try {
    return {
      links: tryLinks(repo),
      remotes: await Promise.all(repo.config.remotes().map(({ name, url }) => tryRemote(repo, name, url, context))),
      git: repo.git === undefined ? null : await gitState(repo.git, context),
      config: configProblems(readLevels(context.env, repo.dvcDir)),
    }
  } finally {
    await repo.git?.close()
  }
}

function describe({ links, remotes, git, config }: Findings): string {
  const possible = Object.entries(links).flatMap(([type, works]) => (works ? [type] : []))
  return [
    `Links possible from the cache: ${possible.join(', ')}`,
    ...remotes.map(({ name, url, problem }) => `Remote ${name} (${url}): ${problem ?? 'answers'}`),
    ...(git === null
      ? []
      : [`Git: ${git.branch ?? 'no branch'} at ${git.head?.slice(0, 7) ?? 'no commit'}${git.dirty ? ', with changes' : ''}`]),
    ...(config.length === 0 ? [] : ['The configuration has what dvc would refuse: see above.']),
  ].join('\n')
}

/** From the cache, or where it is going to be, to the workspace. */
function tryLinks(repo: Repo): Findings['links'] {
  const existing = (dir: string): string => (statSync(dir, { throwIfNoEntry: false }) ? dir : existing(path.dirname(dir)))
  const from = mkdtempSync(path.join(existing(repo.cacheDir), '.cairn-doctor-'))
  const to = mkdtempSync(path.join(repo.dvcDir, '.cairn-doctor-'))
  const source = path.join(from, 'source')
  writeFileSync(source, 'cairn')
  const works = (link: (target: string) => void, name: string) => {
    try {
      link(path.join(to, name))
      return true
    } catch (error) {
      if (isNoReflink(error)) return false
      throw error
    }
  }
  try {
    return {
      reflink: works((target) => reflink(source, target), 'reflink'),
      hardlink: works((target) => linkSync(source, target), 'hardlink'),
      symlink: works((target) => symlinkSync(source, target), 'symlink'),
      copy: true,
    }
  } finally {
    rmSync(from, { recursive: true })
    rmSync(to, { recursive: true })
  }
}

async function tryRemote(repo: Repo, name: string, url: string, context: Context): Promise<Findings['remotes'][number]> {
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(REMOTE_MS)])
  const cache = openObjectCache(repo.cacheDir, { tmpDir: repo.tmpDir })
  // A folder that is not there reads as an empty remote.
  if (path.isAbsolute(url) && statSync(url, { throwIfNoEntry: false }) === undefined)
    return { name, url, reachable: true, problem: 'no such folder yet; a push makes it' }
  const bare = url.replace(/\/\/[^/@]*@/, '//')
  try {
    const env = { ...context.env, CAIRN_PATIENCE: '0' }
    const remote = await openRemote(repo, name, { ...context, env, signal }, cache)
    try {
      await remote.findMissing([ANY_DIGEST], { signal, report: context.report })
    } finally {
      await remote.close()
    }
    return { name, url: bare, reachable: true }
  } catch (error) {
    context.signal.throwIfAborted()
    const problem = signal.aborted ? 'no answer' : error instanceof Error ? error.message : String(error)
    return { name, url: bare, reachable: false, problem }
  } finally {
    cache.close()
  }
}

async function gitState(git: NonNullable<Repo['git']>, { signal }: Context): Promise<NonNullable<Findings['git']>> {
  const { dirty } = await readGitStatus(git, { untracked: false, signal })
  return { branch: git.branch() ?? null, head: git.head() ?? null, dirty }
}
