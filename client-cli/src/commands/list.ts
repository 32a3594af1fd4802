import path from 'node:path'
import { isTree } from '@cairn/protocol/digest'
import { CairnError } from '@cairn/protocol/error'
import { compareCodePoints } from '@cairn/protocol/tree'
import type { Command, Context, Options } from '../command.ts'
import { isAtOrBelow } from '../pipeline/stage-path.ts'
import type { Foreign } from '../repo/foreign.ts'
import { formatJson } from '../report/json.ts'
import { listFiles, trackedOf } from './foreign-content.ts'
import { FOREIGN_REMOTE_OPTIONS, REVISION, withForeign } from './foreign-options.ts'
import { readingOf } from './get.ts'
import { describeRows, drawTree, type ListRow, rowOfFolder, rowsOf } from './list-rows.ts'
import { withScratch } from './scratch.ts'

export const command: Command = {
  name: 'list',
  summary: 'Print what a repository holds, kept by Git and by DVC.',
  arguments: [
    { name: '<url>', summary: 'The path or Git url of the repository.' },
    { name: '[path]', summary: 'A file or folder in there.' },
  ],
  options: [
    { flags: '-R, --recursive', summary: 'Files in folders too.' },
    { flags: '-T, --tree', summary: 'Draw folders as a tree.' },
    { flags: '-L, --level <n>', summary: 'How many folders deep.' },
    { flags: '--dvc-only', summary: 'Only what DVC tracks.' },
    { flags: '--json', summary: 'As JSON.' },
    { flags: '--show-json', summary: 'The same as --json.', hidden: true },
    { flags: '--size', summary: 'With sizes.' },
    { flags: '--show-hash', summary: 'With the md5 of what DVC tracks.' },
    REVISION,
    ...FOREIGN_REMOTE_OPTIONS,
  ],
  examples: [
    'cairn list .',
    'cairn list -R --dvc-only https://example.org/models.git resnet',
    'cairn list --rev v2 --size ../datasets',
  ],
  run: (context, args, options) => listInWords(args[0] ?? '', () => list(context, args, options)),
}

export async function listInWords<T>(url: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof CairnError) || ['CANCELLED', 'USAGE'].includes(error.code)) throw error
    throw new CairnError(error.code, `failed to list '${url}' - ${error.message}`, {
      exit: 1,
      cause: error,
      ...(error.hint && { hint: error.hint }),
    })
  }
}

async function list(context: Context, args: readonly string[], options: Options): Promise<void> {
  const [url = '', typed = ''] = args
  const levels = levelsOf(options)
  const [recursive, tree] = [options['recursive'] === true, options['tree'] === true]
  const deep = recursive || tree
  const at = path.posix
    .normalize(typed === '' ? '.' : typed)
    .replace(/\/$/, '')
    .replace(/^\.$/, '')
  const [root, ...rows] = await withForeign(url, { context, options, from: [context.cwd], workspace: true }, (foreign) =>
    withScratch(undefined, async (scratch) => {
      const reading = readingOf(foreign, context, options, scratch)
      const tracked = await trackedOf(reading)
      // What a folder holds matters only where its files have rows.
      const needed = tracked.filter(({ out, digest }) => deep || !isTree(digest) || isAtOrBelow(at, out.path))
      const files = await listFiles(reading, at, needed)
      const known = tracked.some(({ out }) => isAtOrBelow(out.path, at))
      if (files.length === 0 && at !== '' && !known) throw absentIn(foreign, at)
      const how = { levels: deep ? levels : 1, folders: tree, dvcOnly: options['dvcOnly'] === true }
      const root = rowOfFolder(at, at === '' ? '.' : at, new Map(tracked.map((each) => [each.out.path, each])))
      const listed = rowsOf(at, files, tracked, how)
      const sizes = await foreign.folderSizes([
        at,
        ...listed.filter((row) => row.isdir).map((row) => path.posix.join(at, row.path)),
      ])
      return [root, ...listed].map((row) => sized(row, sizes.get(row === root ? at : path.posix.join(at, row.path))))
    }),
  )
  if (root) print(context, rows, { root, options, tree })
}

/** What a folder takes where it stands, rather than what is recorded for all that it holds. */
const sized = (row: ListRow, size: number | undefined): ListRow => (row.isdir && size !== undefined ? { ...row, size } : row)

const absentIn = (foreign: Foreign, at: string): CairnError =>
  new CairnError('FAILED', `The path '${at}' does not exist in '${foreign.url}'`)

export function levelsOf(options: Options): number {
  const given = options['level']
  if (given === undefined) return Number.POSITIVE_INFINITY
  const levels = Number(given)
  if (!Number.isInteger(levels) || levels < 1)
    throw new CairnError('USAGE', `argument -L/--level: '${String(given)}' is not a number of 1 or more`)
  return levels
}

function print(
  context: Context,
  rows: readonly ListRow[],
  { root, options, tree }: { root: ListRow; options: Options; tree: boolean },
): void {
  const show = { size: options['size'] === true, hash: options['showHash'] === true }
  if (options['json'] === true || options['showJson'] === true) {
    const sorted = rows.toSorted((a, b) => compareCodePoints(a.path, b.path))
    return context.report({ type: 'output', text: formatJson(sorted) })
  }
  if (!tree) {
    const sorted = rows.toSorted((a, b) => compareCodePoints(a.path, b.path))
    if (rows.length > 0) context.report({ type: 'output', text: describeRows(sorted, show).join('\n') })
    return
  }
  context.report({ type: 'output', text: describeRows([root, ...rows], show, [root.path, ...drawTree(rows)]).join('\n') })
}
