import path from 'node:path'
import type { Command, Context, Options } from '../command.ts'
import { objectPath } from '@cairn/protocol/digest'
import type { Foreign } from '../repo/foreign.ts'
import { bringContent, missingPath, listFiles, trackedOf, type Reading } from './foreign-content.ts'
import { FOREIGN_REMOTE_OPTIONS, REVISION, withForeign } from './foreign-options.ts'
import { importInWords } from './import.ts'
import { placeFor, refuseStanding } from './import-target.ts'
import { placeOut, withScratch } from './scratch.ts'

export const command: Command = {
  name: 'get',
  summary: 'Bring a file or folder out of another repository, and nothing else. Needs no repository here.',
  arguments: [
    { name: '<url>', summary: 'The path or Git url of the other repository.' },
    { name: '<path>', summary: 'A file or folder in there.' },
  ],
  options: [
    { flags: '-o, --out <path>', summary: 'Where it goes. Default: its own name, in this folder.' },
    REVISION,
    { flags: '--show-url', summary: 'Only print where the object is stored.' },
    { flags: '-f, --force', summary: 'Replace what stands in the place.' },
    { flags: '-j, --jobs <n>', summary: 'How many bodies at a time.' },
    ...FOREIGN_REMOTE_OPTIONS,
  ],
  examples: ['cairn get https://example.org/models.git resnet/weights.h5', 'cairn get ../datasets cats -o /tmp/cats --rev v2'],
  run: async (context, args, options) => {
    const [url = '', file = ''] = args
    const open = <T>(work: (foreign: Foreign) => Promise<T>) =>
      withForeign(url, { context, options, from: [context.cwd], workspace: true }, work)
    const at = path.posix.normalize(file).replace(/\/$/, '')
    if (options['showUrl'] === true)
      return importInWords(`failed to show URL for '${file}' from '${url}' - `, () =>
        open((foreign) => withScratch(context.cwd, (scratch) => showUrl(readingOf(foreign, context, options, scratch), at))),
      )
    const place = placeFor(context.cwd, file, options['out'] as string | undefined)
    await importInWords(`failed to get '${file}' from '${url}' - `, async () => {
      refuseStanding(context.cwd, place, options['force'] === true)
      await open((foreign) =>
        withScratch(path.dirname(place), async (scratch) => {
          const made = await bringContent(readingOf(foreign, context, options, scratch), at)
          placeOut(scratch, made, place)
        }),
      )
    })
  },
}

export const readingOf = (
  foreign: Foreign,
  context: Context,
  options: Options,
  scratch: { cache: Reading['cache']; dir: string },
): Reading => ({
  foreign,
  cache: scratch.cache,
  context,
  remote: options['remote'] as string | undefined,
  tmpDir: scratch.dir,
})

/** Where the bytes are: on the other repository's default remote, or in its cache when it has none. */
export async function showUrl(reading: Reading, at: string): Promise<void> {
  const { foreign, context, remote } = reading
  const tracked = await trackedOf(reading)
  const whole = tracked.find(({ out }) => out.path === at)
  const digest = whole?.digest ?? (await listFiles(reading, at, tracked)).find((file) => file.path === at)?.digest
  if (digest === undefined) throw missingPath(foreign, at)
  const { config, cacheDir } = foreign.repo
  const name = remote ?? whole?.out.remote ?? config.get('core', 'remote')
  const base = name === undefined ? cacheDir : config.remote(name).url
  context.report({ type: 'output', text: `${base.replace(/\/$/, '')}/${objectPath(digest)}` })
}
