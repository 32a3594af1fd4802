import path from 'node:path'
import type { Command, Context, Options } from '../command.ts'
import { isBookkeeping, listFiles, missingPath, trackedOf } from './foreign-content.ts'
import { FOREIGN_REMOTE_OPTIONS, REVISION, withForeign } from './foreign-options.ts'
import { readingOf } from './get.ts'
import { humanSize } from './list-rows.ts'
import { listInWords } from './list.ts'
import { withScratch } from './scratch.ts'

export const command: Command = {
  name: 'du',
  summary: 'Print how large what a repository holds is.',
  arguments: [
    { name: '<url>', summary: 'The path or Git url of the repository.' },
    { name: '[path]', summary: 'A file or folder in there.' },
  ],
  options: [{ flags: '-s, --summarize', summary: 'Only the total.' }, REVISION, ...FOREIGN_REMOTE_OPTIONS],
  examples: ['cairn du .', 'cairn du --rev v2 ../datasets cats'],
  run: (context, args, options) => listInWords(args[0] ?? '', () => measure(context, args, options)),
}

async function measure(context: Context, args: readonly string[], options: Options): Promise<void> {
  const [url = '', typed = ''] = args
  const at = path.posix
    .normalize(typed === '' ? '.' : typed)
    .replace(/\/$/, '')
    .replace(/^\.$/, '')
  const sizes = await withForeign(url, { context, options, from: [context.cwd], workspace: true }, (foreign) =>
    withScratch(undefined, async (scratch) => {
      const reading = readingOf(foreign, context, options, scratch)
      const files = (await listFiles(reading, at, await trackedOf(reading))).filter((file) => !isBookkeeping(file.path))
      if (files.length === 0 && at !== '') throw missingPath(foreign, at)
      const measured = new Map<string, number>()
      for (const file of files) {
        const name = file.path === at ? '' : path.posix.relative(`/${at}`, `/${file.path}`).split('/')[0]
        if (name) measured.set(path.posix.join(at, name), (measured.get(path.posix.join(at, name)) ?? 0) + file.size)
        else measured.set('', file.size)
      }
      return measured
    }),
  )
  const total = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  const rows = [...sizes].filter(([name]) => name !== '')
  const lines: Array<[number, string]> = [
    ...(options['summarize'] === true ? [] : rows.map(([name, size]): [number, string] => [size, name])),
    [total, at],
  ]
  const width = Math.max(...lines.map(([size]) => humanSize(size).length))
  const text = lines.map(([size, name]) => `${humanSize(size).padEnd(width)}  ${name}`.trimEnd())
  context.report({ type: 'output', text: text.join('\n') })
}
