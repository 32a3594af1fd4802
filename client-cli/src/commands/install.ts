import { chmodSync, existsSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { isSeq, parseDocument, YAMLSeq } from 'yaml'
import { CairnError } from '@cairn/protocol/error'
import type { Command, Context } from '../command.ts'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { captureSync } from '../io/spawn.ts'
import type { Git } from '../repo/git.ts'
import { readIfThere } from '../repo/ignore.ts'
import type { Repo } from '../repo/repo.ts'
import { withStages } from './session.ts'

const HOOKS = ['post-checkout', 'pre-commit', 'pre-push'] as const
const DRIVER = 'cairn git-hook merge-driver --ancestor %O --our %A --their %B '

export const command: Command = {
  name: 'install',
  summary: 'Let Git check out and push what is tracked, and merge tracked folders.',
  description:
    "Writes Git hooks: after a checkout of Git 'cairn checkout' runs, before a commit 'cairn status', before a push 'cairn push'. For merges, .gitattributes has to say '*.dvc merge=dvc'.",
  options: [{ flags: '--use-pre-commit-tool', summary: 'Write them into .pre-commit-config.yaml instead.' }],
  examples: ['cairn install', "echo '*.dvc merge=dvc' >> .gitattributes && cairn install"],
  run: (context, _args, options) =>
    withStages(context, ({ repo }) => {
      if (repo.git === undefined) throw failed('this repository is not tracked by Git')
      if (options['usePreCommitTool'] === true) writeToolConfig(repo.git)
      else writeHooks(repo.git)
      installDriver(repo.git)
      hintAttributes(repo, context)
      return Promise.resolve()
    }),
}

const failed = (why: string, hint?: string): CairnError =>
  new CairnError('COMMAND_FAILED', `failed to install Git hooks - ${why}`, hint === undefined ? {} : { hint })

/** Checks all of them before the first is written. */
function writeHooks(git: Git): void {
  const dir = path.resolve(git.root, ask(git, 'rev-parse', '--git-path', 'hooks'))
  for (const hook of HOOKS)
    if (existsSync(path.join(dir, hook)))
      throw failed(`Hook '${hook}' already exists.`, `Add the line 'cairn git-hook ${hook} "$@"' to it, or remove it.`)
  mkdirSync(dir, { recursive: true })
  for (const hook of HOOKS) {
    writeFileAtomic(path.join(dir, hook), `#!/bin/sh\nexec cairn git-hook ${hook} "$@"\n`)
    chmodSync(path.join(dir, hook), 0o777 & ~process.umask())
  }
}

function installDriver(git: Git): void {
  ask(git, 'config', 'merge.dvc.name', 'Cairn merge driver')
  ask(git, 'config', 'merge.dvc.driver', DRIVER)
}

function hintAttributes({ root }: Repo, { report }: Context): void {
  if (/merge=dvc/.test(readIfThere(path.join(root, '.gitattributes')) ?? '')) return
  report({ type: 'note', text: "To have Git merge tracked folders, add the line '*.dvc merge=dvc' to .gitattributes." })
}

function writeToolConfig(git: Git): void {
  const file = path.join(git.root, '.pre-commit-config.yaml')
  const document = parseDocument(readIfThere(file) ?? 'repos: []\n')
  if (document.errors[0] !== undefined) throw failed(`'.pre-commit-config.yaml' cannot be read: ${document.errors[0].message}`)
  const given: unknown = document.get('repos')
  const repos = isSeq(given) ? given : new YAMLSeq()
  const hooks = HOOKS.map((hook) => ({
    id: `cairn-${hook}`,
    name: `cairn ${hook}`,
    entry: `cairn git-hook ${hook}`,
    language: 'system',
    always_run: true,
    pass_filenames: false,
    stages: [hook],
  }))
  if (/cairn git-hook/.test(document.toString())) return
  repos.add(document.createNode({ repo: 'local', hooks }))
  repos.flow = false
  document.set('repos', repos)
  writeFileAtomic(file, document.toString({ indentSeq: false }))
}

function ask(git: Git, ...args: string[]): string {
  const { code, stdout, stderr } = captureSync('git', args, { cwd: git.root })
  if (code !== 0) throw failed(`git ${args[0]}: ${stderr.trim()}`)
  return stdout.toString().trim()
}
