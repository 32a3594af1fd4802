import { lstatSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { compareCodePoints } from '@cairn/protocol/tree'
import type { Command, Context, Options } from '../command.ts'
import { locateUrl, openUrlSource } from '../remote/open-source.ts'
import { FS_CONFIG, withFsConfig } from './fs-config.ts'
import { repoAround } from './get-url.ts'
import { levelsOf } from './list.ts'
import { describeRows, drawTree, type ListRow, rowsOf } from './list-rows.ts'

export const command: Command = {
  name: 'list-url',
  summary: 'Print what a url or a path holds. Needs no repository here.',
  arguments: [{ name: '<url>', summary: 'A path, s3://…, http(s)://…, or remote://NAME/path.' }],
  options: [
    { flags: '-R, --recursive', summary: 'Files in folders too.' },
    { flags: '-T, --tree', summary: 'Draw folders as a tree.' },
    { flags: '-L, --level <n>', summary: 'How many folders deep.' },
    { flags: '--size', summary: 'With sizes.' },
    FS_CONFIG,
  ],
  examples: ['cairn list-url s3://bucket/scans', 'cairn list-url -R --size remote://origin/scans'],
  async run(context, [url = ''], options) {
    const listing = await look(context, url, options)
    if (listing === undefined) throw new CairnError('FAILED', `The path '${url}' does not exist`)
    const [tree, recursive] = [options['tree'] === true, options['recursive'] === true]
    const show = { size: options['size'] === true, hash: false }
    const print = (lines: readonly string[]) => lines.length > 0 && context.report({ type: 'output', text: lines.join('\n') })
    if (listing.files === undefined) return void print(describeRows([rowOf(listing.shown)], show))
    const files = listing.files.map((file) => ({ path: file.path, size: file.size ?? 0, isexec: false }))
    const how = { levels: tree || recursive ? levelsOf(options) : 1, folders: tree, dvcOnly: false }
    const rows = rowsOf('', files, [], how).map((row) => (row.isdir ? { ...row, size: listing.folderSize(row.path) } : row))
    if (!tree)
      return void print(
        describeRows(
          rows.toSorted((a, b) => compareCodePoints(a.path, b.path)),
          show,
        ),
      )
    const root = { ...rowOf(listing.shown), size: listing.folderSize('') }
    print(describeRows([root, ...rows], show, [root.path, ...drawTree(rows)]))
  },
}

const rowOf = (shown: string): ListRow => ({ isout: false, isdir: false, isexec: false, size: null, md5: null, path: shown })

interface Listing {
  /** What stock calls the place itself. */
  shown: string
  /** undefined: it is no folder. */
  files: ReadonlyArray<{ path: string; size: number | undefined }> | undefined
  folderSize(folder: string): number | null
}

async function look(context: Context, url: string, options: Options): Promise<Listing | undefined> {
  const repo = repoAround(context)
  const target = withFsConfig(locateUrl(repo, url), options)
  const source = await openUrlSource(target, context, repo)
  if (source === undefined) return lookAtPath(path.resolve(context.cwd, target.url), target.url)
  try {
    const found = await source.look(context.signal)
    if (found === undefined) return undefined
    const shown = target.url.replace(/^s3:\/\//, '').replace(/(?<=[^/])\/+$/, '')
    return { shown, files: found.folder ? found.files : undefined, folderSize: () => null }
  } finally {
    await source.close()
  }
}

function lookAtPath(place: string, given: string): Listing | undefined {
  const stat = lstatSync(place, { throwIfNoEntry: false })
  if (stat === undefined) return undefined
  const folderSize = (folder: string) => lstatSync(path.join(place, folder), { throwIfNoEntry: false })?.size ?? null
  if (!stat.isDirectory()) return { shown: place, files: undefined, folderSize }
  return { shown: given.replace(/(?<=[^/])\/+$/, ''), files: [...filesBelow(place, '')], folderSize }
}

/** What goes away while it is looked at is left out. */
function* filesBelow(place: string, folder: string): Generator<{ path: string; size: number | undefined }> {
  try {
    for (const entry of readdirSync(path.join(place, folder), { withFileTypes: true })) {
      const name = path.posix.join(folder, entry.name)
      if (entry.isDirectory()) yield* filesBelow(place, name)
      else yield { path: name, size: lstatSync(path.join(place, name), { throwIfNoEntry: false })?.size }
    }
  } catch (error) {
    if (!isCode(error, 'ENOENT', 'EACCES')) throw error
  }
}
