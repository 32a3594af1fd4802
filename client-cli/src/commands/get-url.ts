import { lstatSync } from 'node:fs'
import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import { cpSync, renameSync, rmSync } from 'node:fs'
import type { Command, Context, Options } from '../command.ts'
import { isUrl } from '../pipeline/stage-path.ts'
import { locateUrl, openUrlSource } from '../remote/open-source.ts'
import { findRoot, openRepo } from '../repo/open.ts'
import type { Repo } from '../repo/repo.ts'
import { FS_CONFIG, withFsConfig } from './fs-config.ts'
import { importInWords } from './import.ts'
import { placeFor, refuseStanding } from './import-target.ts'
import { bringLook } from './imports.ts'
import { placeOut, withScratch } from './scratch.ts'

export const command: Command = {
  name: 'get-url',
  summary: 'Bring a file or folder from a url or a path, and nothing else. Needs no repository here.',
  arguments: [
    { name: '<url>', summary: 'A path, http(s)://…, s3://…, or remote://NAME/path.' },
    { name: '[out]', summary: 'Where it goes. Default: its own name, in this folder.' },
  ],
  options: [
    { flags: '-f, --force', summary: 'Replace what stands in the place.' },
    { flags: '-j, --jobs <n>', summary: 'How many bodies at a time.' },
    FS_CONFIG,
  ],
  examples: ['cairn get-url https://example.org/iris.csv', 'cairn get-url remote://origin/scans scans'],
  run: (context, args, options) => {
    const [url = '', out] = args
    const place = placeFor(context.cwd, url, out)
    return importInWords(`failed to get '${url}' - `, async () => {
      refuseStanding(context.cwd, place, options['force'] === true)
      await bringUrl(context, url, place, options)
    })
  },
}

/** The repository around the person, for its remotes; many have none here. */
export const repoAround = (context: Context): Repo | undefined =>
  findRoot(context.cwd).root === undefined ? undefined : openRepo(context.cwd, context.env)

async function bringUrl(context: Context, url: string, place: string, options: Options): Promise<void> {
  const repo = repoAround(context)
  const target = withFsConfig(locateUrl(repo, url), options)
  await withScratch(path.dirname(place), async (scratch) => {
    const source = await openUrlSource(target, context, repo)
    if (source === undefined) return copyPath(path.resolve(context.cwd, target.url), url, place, scratch.dir)
    try {
      const look = await source.look(context.signal)
      if (look === undefined) throw absentUrl(url)
      placeOut(scratch, { digest: await bringLook(source, look, scratch, context), isexec: false }, place)
    } finally {
      await source.close()
    }
  })
}

const absentUrl = (url: string): CairnError =>
  new CairnError('FAILED', `The ${isUrl(url) ? 'url' : 'path'} '${url}' does not exist`, { exit: 1 })

function copyPath(from: string, shown: string, place: string, dir: string): void {
  if (lstatSync(from, { throwIfNoEntry: false }) === undefined) throw absentUrl(shown)
  const draft = path.join(dir, 'out')
  cpSync(from, draft, { recursive: true, dereference: true })
  rmSync(place, { recursive: true, force: true })
  renameSync(draft, place)
}
