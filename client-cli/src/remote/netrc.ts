import { readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { Env } from '../command.ts'

export interface NetrcEntry {
  login: string
  password: string
}

/** The file that curl, Git and stock dvc look into: NETRC names it, or it is `.netrc` in the home folder. */
export const netrcFile = (env: Env): string =>
  env['NETRC'] || path.join(env['HOME'] ?? os.homedir(), process.platform === 'win32' ? '_netrc' : '.netrc')

/** What the user's file says of a host. @throws CairnError CONFIG for a file that cannot be read; its words are never shown */
export function findNetrc(host: string, env: Env): NetrcEntry | undefined {
  const file = netrcFile(env)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw new CairnError('CONFIG', `cannot read '${file}'`, { cause: error })
  }
  const entries = parseNetrc(text)
  return entries.get(host) ?? entries.get('')
}

/** By host; '' is the `default` entry. Macros are left out. */
export function parseNetrc(text: string): Map<string, NetrcEntry> {
  const entries = new Map<string, NetrcEntry>()
  let current: NetrcEntry | undefined
  const words = wordsOf(text)
  for (let at = 0; at < words.length; at++) {
    const word = words[at]
    if (word === 'default') entries.set('', (current = { login: '', password: '' }))
    else if (word === 'machine') {
      current = { login: '', password: '' }
      const host = words[++at] ?? ''
      // The first entry of a host holds.
      if (!entries.has(host)) entries.set(host, current)
    } else if (word === 'login' || word === 'user') at = set(current, 'login', words, at)
    else if (word === 'password') at = set(current, 'password', words, at)
    else if (word === 'account') at++
  }
  return entries
}

function set(entry: NetrcEntry | undefined, key: keyof NetrcEntry, words: readonly string[], at: number): number {
  if (entry) entry[key] = words[at + 1] ?? ''
  return at + 1
}

/** A macro ends with an empty line; `#` begins a comment where a word would begin a line; quotes hold blanks. */
function wordsOf(text: string): string[] {
  const words: string[] = []
  let inMacro = false
  for (const line of text.split(/\r?\n/)) {
    if (inMacro) inMacro = line.trim() !== ''
    else if (/^\s*macdef\b/.test(line)) inMacro = true
    else if (!/^\s*#/.test(line))
      for (const [word] of line.matchAll(/"(?:[^"\\]|\\.)*"|\S+/g))
        words.push(
          word.startsWith('"') && word.endsWith('"') && word.length > 1 ? word.slice(1, -1).replace(/\\(.)/g, '$1') : word,
        )
  }
  return words
}
