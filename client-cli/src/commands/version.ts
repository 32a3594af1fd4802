import os from 'node:os'
import { isCode } from '@cairn/protocol/error'
import type { Command, Context } from '../command.ts'
import { captureSync } from '../io/spawn.ts'
import { configProblems } from '../repo/config-schema.ts'
import { levelPath, readLevels } from '../repo/config.ts'
import { findRoot, openRepo } from '../repo/open.ts'
import { cairnVersion } from '../version.ts'

export const command: Command = {
  name: 'version',
  summary: 'Print the version and what Cairn finds around it.',
  description: "What a bug report should say. 'cairn doctor' tries things, too.",
  examples: ['cairn version'],
  async run(context) {
    const head = `Cairn version: ${cairnVersion()}`
    context.report({
      type: 'output',
      text: [head, '-'.repeat(head.length), ...machine(context), ...repository(context)].join('\n'),
    })
  },
}

function machine({ env }: Context): string[] {
  return [
    `Platform: Node ${process.versions.node} on ${os.type()} ${os.release()} ${os.arch()}`,
    `Git: ${gitVersion()}`,
    'Config:',
    `\tGlobal: ${levelPath('global', env) ?? 'none (no home folder)'}`,
    `\tSystem: ${levelPath('system', env) ?? 'none'}`,
  ]
}

function gitVersion(): string {
  try {
    return captureSync('git', ['version'], { cwd: os.tmpdir() })
      .stdout.toString()
      .trim()
      .replace(/^git version /, '')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return 'not found on PATH'
    throw error
  }
}

function repository({ cwd, env }: Context): string[] {
  if (findRoot(cwd).root === undefined) return ['Repo: none here']
  const repo = openRepo(cwd, env)
  const remotes = repo.config.remotes().map((remote) => /^([a-z][a-z0-9+.-]*):\/\//i.exec(remote.url)?.[1] ?? 'local')
  const scm = repo.git === undefined ? 'dvc (no_scm)' : repo.git.root === repo.root ? 'dvc, git' : 'dvc (subdir), git'
  return [
    `Cache types: ${repo.linkTypes?.join(', ') ?? 'default'}`,
    `Cache directory: ${repo.cacheDir}`,
    `Remotes: ${remotes.length === 0 ? 'None' : remotes.join(', ')}`,
    `Workspace directory: ${repo.root}`,
    `Repo: ${scm}`,
    ...configProblems(readLevels(env, repo.dvcDir)).map((problem) => `Config problem: ${problem}`),
  ]
}
