import { CairnError } from '@cairn/protocol/error'
import { lstatSync, readdirSync, statSync, type Stats } from 'node:fs'
import path from 'node:path'
import type { Ignore } from '../repo/ignore.ts'
import { createPace } from './pace.ts'

export interface WalkVisitor {
  /** `stat` is the target's for a symlink to a file. Called folder by folder, names in order. */
  file(relative: string, stat: Stats, viaLink: boolean): void
  /** A symlink to a folder: DVC records neither it nor what is behind it. */
  folderLink(relative: string): void
  /** Fifos, sockets, devices, broken links: what cannot be content. May throw; else it is left out. */
  odd(relative: string, problem: string): void
  folder?(relative: string): void
}

export interface WalkOptions {
  signal: AbortSignal
  /** Decides by `<prefix>/<relative>`; undefined: only `.git`, `.hg` and `.dvc` are left out. */
  ignore: Ignore | undefined
  prefix: string
}

const BUILT_IN = new Set(['.git', '.hg', '.dvc'])
const REPLACEMENT = '\ufffd'
const QUIETLY = { throwIfNoEntry: false } as const

/** Visits every file below a folder with one lstat each. What vanishes while walking is left out. */
export async function walkFolder(root: string, options: WalkOptions, visitor: WalkVisitor): Promise<void> {
  const pace = createPace(options.signal)
  const near = fromHere(root)
  await walk('', false)

  async function walk(relative: string, nested: boolean): Promise<void> {
    const names = readNames(relative === '' ? near : `${near}/${relative}`)
    // A folder with a .dvc of its own is another repository.
    if (nested && names.includes('.dvc')) return
    if (nested) visitor.folder?.(relative)
    const prefix = relative === '' ? '' : `${relative}/`
    const isIgnored = ignoredIn(relative)
    for (const name of names) {
      const waiting = pace()
      if (waiting) await waiting
      const file = prefix + name
      const stat = lstatSync(`${near}/${file}`, QUIETLY)
      if (stat === undefined) continue
      const isFolder = stat.isDirectory()
      if (isIgnored(name, isFolder)) continue
      if (isFolder) await walk(file, true)
      else if (name === '.dvcignore') throw ignoreFileInside(relative === '' ? root : `${root}/${relative}`)
      else if (stat.isFile()) visitor.file(file, stat, false)
      else visitOther(file, stat)
    }
  }

  function ignoredIn(relative: string): (name: string, isFolder: boolean) => boolean {
    if (!options.ignore) return (name, isFolder) => isFolder && BUILT_IN.has(name)
    return options.ignore.within([options.prefix, relative].filter((part) => part !== '').join('/'))
  }

  function visitOther(file: string, stat: Stats): void {
    if (!stat.isSymbolicLink()) return visitor.odd(file, kindOf(stat))
    const target = followLink(`${root}/${file}`)
    if (target === undefined) visitor.odd(file, 'a broken symlink')
    else if (target.isDirectory()) visitor.folderLink(file)
    else if (target.isFile()) visitor.file(file, target, true)
    else visitor.odd(file, `a symlink to ${kindOf(target)}`)
  }
}

/** The same folder by a way that is shorter for the system, which goes it for each file anew. */
function fromHere(root: string): string {
  const here = `${process.cwd()}/`
  return root.startsWith(here) && root.length > here.length ? root.slice(here.length) : root
}

function readNames(folder: string): string[] {
  const names = readdirSync(folder)
  if (names.some((name) => name.includes(REPLACEMENT))) refuseUndecodable(folder)
  return names.sort()
}

/** A name that is not UTF-8 has no place in a tree, and is not to be guessed at. */
function refuseUndecodable(folder: string): void {
  for (const bytes of readdirSync(folder, { encoding: 'buffer' })) {
    if (Buffer.from(bytes.toString()).equals(bytes)) continue
    const shown = bytes
      .toString('latin1')
      .replace(/[^\x20-\x7e]/g, (unit) => `\\x${unit.charCodeAt(0).toString(16).padStart(2, '0')}`)
    throw new CairnError('COMMAND_FAILED', `'${path.resolve(folder)}/${shown}': the name is not valid UTF-8`, {
      hint: 'Rename the file; a tree can only hold names in UTF-8.',
    })
  }
}

/** undefined for a broken link, a loop of links, or one through a file. */
export function followLink(file: string): Stats | undefined {
  try {
    return statSync(file, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}

export function kindOf(stat: Stats): string {
  if (stat.isFIFO()) return 'a named pipe'
  if (stat.isSocket()) return 'a socket'
  return stat.isDirectory() ? 'a folder' : 'a device'
}

const ignoreFileInside = (folder: string) =>
  new CairnError('FAILED', `.dvcignore file should not be in collected dir path: '${folder}'`, {
    hint: 'Move its patterns to a .dvcignore above the tracked folder.',
  })

export const cannotTrack = (file: string, problem: string): CairnError =>
  new CairnError('COMMAND_FAILED', `'${path.normalize(file)}' is ${problem} and cannot be tracked`, {
    hint: 'Move it out of the folder, or list it in .dvcignore.',
  })
