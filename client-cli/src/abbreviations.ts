import { CairnError } from '@cairn/protocol/error'
import type { OptionSpec } from './command.ts'

interface Known {
  long: string | undefined
  short: string | undefined
  takesValue: boolean
}

/**
 * The words with every abbreviated long option written out: `--rec` is `--recursive` where no other option begins so. What
 * follows `--`, an option's value and, with `passThrough`, everything from the first operand on stay as they are.
 * @throws CairnError USAGE for an abbreviation of several options
 */
export function writeOut(
  argv: readonly string[],
  specs: readonly OptionSpec[],
  { passThrough = false, help }: { passThrough?: boolean; help: string },
): string[] {
  const known = specs.map(parseFlags)
  const words: string[] = []
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? ''
    const isOption = word.startsWith('-') && word !== '-'
    if (word === '--' || (!isOption && passThrough)) return [...words, ...argv.slice(at)]
    if (!isOption) {
      words.push(word)
      continue
    }
    const { text, valueFollows } = word.startsWith('--') ? writeOutLong(word, known, help) : readCluster(word, known)
    words.push(text)
    const value = argv[at + 1]
    if (!valueFollows || value === undefined) continue
    words.push(value)
    at++
  }
  return words
}

/** The option that an abbreviation means; undefined for none. `name` includes the dashes. @throws CairnError USAGE for several */
export function findLong<T extends { long: string | undefined }>(name: string, known: readonly T[], help: string): T | undefined {
  const exact = known.find((option) => option.long === name)
  if (exact !== undefined || name === '--') return exact
  const near = known.filter((option) => option.long?.startsWith(name))
  if (near.length > 1)
    throw new CairnError(
      'USAGE',
      `ambiguous option: ${name} could match ${near
        .map((option) => option.long)
        .toSorted()
        .join(', ')}`,
      { hint: `See '${help}'.` },
    )
  return near[0]
}

function writeOutLong(word: string, known: readonly Known[], help: string): { text: string; valueFollows: boolean } {
  const [name = '', ...value] = word.split('=')
  const option = findLong(name, known, help)
  if (option?.long === undefined) return { text: word, valueFollows: false }
  return { text: [option.long, ...value].join('='), valueFollows: option.takesValue && value.length === 0 }
}

/** `-vfr NAME`: the last letter of a cluster may take the next word, one before it takes the rest of the cluster. */
function readCluster(word: string, known: readonly Known[]): { text: string; valueFollows: boolean } {
  const letters = [...word.slice(1)]
  const takes = letters.findIndex((letter) => known.find((option) => option.short === `-${letter}`)?.takesValue === true)
  return { text: word, valueFollows: takes >= 0 && takes === letters.length - 1 }
}

function parseFlags({ flags }: OptionSpec): Known {
  const names = flags.split(/[ ,|]+/)
  return {
    long: names.find((name) => name.startsWith('--')),
    short: names.find((name) => /^-[^-]/.test(name)),
    takesValue: flags.includes('<'),
  }
}
