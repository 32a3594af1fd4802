import path from 'node:path'
import { isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import type { Command, Context, Options } from '../command.ts'
import { capture } from '../io/spawn.ts'
import { chooseTag, type GitTag } from '../pipeline/artifact-tags.ts'
import { loadPipelines } from '../pipeline/load.ts'
import { isExternal, locate } from '../pipeline/stage-path.ts'
import type { Foreign } from '../repo/foreign.ts'
import { bringContent } from './foreign-content.ts'
import { FOREIGN_REMOTE_OPTIONS, withForeign } from './foreign-options.ts'
import { readingOf, showUrl } from './get.ts'
import { importInWords } from './import.ts'
import { placeFor, refuseStanding } from './import-target.ts'
import { placeOut, withScratch } from './scratch.ts'

export const command: Command = {
  name: 'artifacts get',
  summary: 'Bring a version of an artifact out of another repository. Needs no repository here.',
  description:
    'Artifacts stand in dvc.yaml; their versions and stages are annotated Git tags as GTO makes them: name@v1.2.0, name#prod#1.',
  arguments: [
    { name: '<url>', summary: 'The path or Git url of the other repository.' },
    { name: '<name>', summary: 'The name in dvc.yaml; before it the folder of another dvc.yaml and a colon.' },
  ],
  options: [
    { flags: '--rev <version>', summary: 'The version, as v1.2.0. Default: the greatest one.' },
    { flags: '--stage <stage>', summary: 'Or the stage whose version to take.' },
    { flags: '-o, --out <path>', summary: 'Where it goes. Default: its own name, in this folder.' },
    { flags: '--show-url', summary: 'Only print where the object is stored.' },
    { flags: '-j, --jobs <n>', summary: 'How many bodies at a time.' },
    { flags: '-f, --force', summary: 'Replace what stands in the place.' },
    ...FOREIGN_REMOTE_OPTIONS,
  ],
  examples: [
    'cairn artifacts get https://example.org/models.git resnet --rev v1.2.0',
    'cairn artifacts get ../models sub:resnet --stage prod',
  ],
  failureExit: 1,
  run: async (context, args, options) => {
    const [url = '', name = ''] = args
    await importInWords(`failed to get '${name}' from '${url}' - `, () => getArtifact(context, { url, name, options }))
  },
}

interface Asked {
  url: string
  name: string
  options: Options
}

async function getArtifact(context: Context, { url, name, options }: Asked): Promise<void> {
  const { rev, ...others } = options
  const choice = { version: rev as string | undefined, stage: options['stage'] as string | undefined }
  if (choice.version !== undefined && choice.stage !== undefined)
    throw new CairnError('FAILED', 'Artifact version and stage are mutually exclusive.')
  const state = choice.version ?? choice.stage
  const artifact = artifactOf(name)
  await withForeign(url, { context, options: others, from: [context.cwd], workspace: true }, async (foreign) => {
    const tag = chooseTag(await annotatedTags(foreign), artifact, choice)
    const at = tag && (await foreign.at(tag.commit))
    const file = at && (await pathOf(at, artifact))
    if (at === undefined || file === undefined) throw unknownArtifact(name, state)
    await bring(context, at, file, options)
  })
}

async function bring(context: Context, at: Foreign, file: string, options: Options): Promise<void> {
  if (options['showUrl'] === true)
    return withScratch(undefined, (scratch) => showUrl(readingOf(at, context, options, scratch), file))
  const place = placeFor(context.cwd, file, options['out'] as string | undefined)
  refuseStanding(context.cwd, place, options['force'] === true)
  await withScratch(path.dirname(place), async (scratch) => {
    const made = await bringContent(readingOf(at, context, options, scratch), file)
    const count = isTree(made.digest) ? scratch.cache.readTree(made.digest).length : 1
    placeOut(scratch, made, place)
    context.report({ type: 'result', text: `Downloaded ${count} file(s) to '${path.relative(context.cwd, place)}'` })
  })
}

const unknownArtifact = (name: string, state: string | undefined): CairnError =>
  new CairnError('FAILED', `Unable to find artifact '${name}${state === undefined ? '' : ` @ ${state}`}'`, {
    hint: 'Its version must be an annotated Git tag, and dvc.yaml must name it there.',
  })

/** `name`, `folder:name`, `folder/dvc.yaml:name`. */
function artifactOf(typed: string): { folder: string; name: string } {
  const cut = typed.lastIndexOf(':')
  const folder = path.posix.normalize(typed.slice(0, Math.max(0, cut)).replace(/(^|\/)dvc\.yaml$/, '') || '.').replace(/\/$/, '')
  return { folder: folder === '.' ? '' : folder, name: typed.slice(cut + 1) }
}

/** undefined when no dvc.yaml names it there. @throws CairnError FAILED when its path leaves the repository */
async function pathOf({ tree }: Foreign, { folder, name }: { folder: string; name: string }): Promise<string | undefined> {
  const { files } = await loadPipelines(tree)
  const file = files.get(path.posix.join(folder, 'dvc.yaml'))?.artifacts.get(name)?.['path']
  if (typeof file !== 'string') return undefined
  const location = locate(folder, file)
  if (isExternal(location)) throw new CairnError('FAILED', `the artifact '${name}' lies outside of its repository: '${file}'`)
  return location
}

async function annotatedTags({ repo, url }: Foreign): Promise<GitTag[]> {
  if (repo.git === undefined) throw new CairnError('FAILED', `'${url}' is no Git repository: it has no versions`)
  const format = '%(*objectname) %(taggerdate:unix) %(refname:lstrip=2)'
  const { code, stdout, stderr } = await capture('git', ['for-each-ref', `--format=${format}`, 'refs/tags'], {
    cwd: repo.git.root,
  })
  if (code !== 0) throw new CairnError('FAILED', `git for-each-ref failed: ${stderr.trim()}`)
  return stdout
    .toString()
    .split('\n')
    .flatMap((line) => {
      const [, commit, created, name] = /^([0-9a-f]+) (\d+) (.*)$/.exec(line) ?? []
      return commit === undefined || name === undefined ? [] : [{ name, commit, created: Number(created) }]
    })
}
