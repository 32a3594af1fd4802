import { readFileSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import { isCode } from '@cairn/protocol/error'
import { writeFileAtomic } from '../io/atomic-write.ts'
import type { Repo } from './repo.ts'

/**
 * Makes Git ignore an output, given root-relative: an entry in the `.gitignore` of the output's own folder, unless a rule
 * covers it already. Returns the root-relative file that changed; undefined when none did, also when the output's folder is
 * not there yet (then call again once it is).
 */
export function addToGitIgnore(repo: Repo, out: string): string | undefined {
  const where = unlistedPlace(repo, out)
  return where && !repo.git?.isIgnored(path.join(repo.root, out)) ? append(where) : undefined
}

/** The same for one output of many: one git is asked about all of them, see `Git.ignores`. */
export async function addOneToGitIgnore(repo: Repo, out: string): Promise<string | undefined> {
  const where = unlistedPlace(repo, out)
  return where && !(await repo.git?.ignores(path.join(repo.root, out))) ? append(where) : undefined
}

function append({ absolute, file, entry }: Place): string {
  const text = readText(absolute) ?? ''
  const newline = text.includes('\r\n') ? '\r\n' : '\n'
  const start = text === '' || text.endsWith('\n') ? text : text + newline
  writeFileAtomic(absolute, start + escapeEntry(entry) + newline)
  return file
}

/** Takes the entry out again and removes a file that it leaves empty. Returns the root-relative file that changed. */
export function removeFromGitIgnore(repo: Repo, out: string): string | undefined {
  const where = placeFor(repo, out)
  const text = where && readText(where.absolute)
  if (where === undefined || text === undefined) return undefined
  const ours = new Set([where.entry, escapeEntry(where.entry)])
  const lines = text.split(/(?<=\n)/)
  const rest = lines.filter((line) => !ours.has(line.trim()) && !ours.has(line.replace(/\r?\n$/, '')))
  if (rest.length === lines.length) return undefined
  if (rest.length === 0) rmSync(where.absolute)
  else writeFileAtomic(where.absolute, rest.join(''))
  return where.file
}

interface Place {
  absolute: string
  file: string
  entry: string
}

/** undefined when the entry stands there already. */
function unlistedPlace(repo: Repo, out: string): Place | undefined {
  const where = placeFor(repo, out)
  return where && !isListed(readText(where.absolute) ?? '', escapeEntry(where.entry)) ? where : undefined
}

/** undefined without Git, for paths outside of the repository, and in folders that do not exist. */
function placeFor(repo: Repo, out: string): Place | undefined {
  if (repo.git === undefined || path.isAbsolute(out) || out.startsWith('../')) return undefined
  const folder = path.posix.dirname(out)
  const file = path.posix.join(folder, '.gitignore')
  const isThere = statSync(path.join(repo.root, folder), { throwIfNoEntry: false })?.isDirectory() === true
  return isThere ? { absolute: path.join(repo.root, file), file, entry: `/${path.posix.basename(out)}` } : undefined
}

/** Ignored for certain, without starting git: the output's own line, and no exception behind it. No file counts for more. */
function isListed(text: string, entry: string): boolean {
  const lines = text.split(/\r?\n/)
  const at = lines.lastIndexOf(entry)
  return at >= 0 && !lines.slice(at).some((line) => line.startsWith('!'))
}

/** Git would drop a blank at the end of a line; the others only need help inside a pattern. */
function escapeEntry(entry: string): string {
  return entry.replace(/[[\]*?#!]/g, '\\$&').replace(/ $/, '\\ ')
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}
