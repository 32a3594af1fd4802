import { randomInt } from 'node:crypto'
import { CairnError } from '@cairn/protocol/error'
import type { GitWriter } from '../repo/git-writer.ts'
import { ADJECTIVES, NOUNS } from './words.ts'

/** A named experiment: a commit on top of the one that it started from. */
export interface ExperimentRef {
  ref: string
  /** The commit that it started from. */
  baseline: string
  name: string
  rev: string
}

const PATTERN = /^refs\/exps\/([0-9a-f]{2})\/([0-9a-f]{38})\/(.+)$/

export const refOf = (baseline: string, name: string): string => `refs/exps/${baseline.slice(0, 2)}/${baseline.slice(2)}/${name}`

export function parseRef(ref: string, rev: string): ExperimentRef | undefined {
  const [, head, rest, name] = PATTERN.exec(ref) ?? []
  return head && rest && name ? { ref, baseline: head + rest, name, rev } : undefined
}

/** Every experiment, by baseline and name. */
export async function experimentRefs(writer: Pick<GitWriter, 'refs'>): Promise<ExperimentRef[]> {
  return (await writer.refs('refs/exps/')).flatMap(({ ref, sha }) => parseRef(ref, sha) ?? [])
}

/** The commit that a new experiment starts from. @throws CairnError FAILED in a repository without a commit */
export function baselineOf({ git }: GitWriter): string {
  const head = git.head()
  if (head === undefined) throw new CairnError('FAILED', 'unable to detect Git HEAD: experiments need a commit to start from')
  return head
}

/**
 * The experiments of these names, or of these commits (7 digits or more). Of several with one name the one of `head` is meant.
 * `missing`: names that are none.
 */
export function findExperiments(
  refs: readonly ExperimentRef[],
  names: readonly string[],
  head: string | undefined,
): { found: ExperimentRef[]; missing: string[] } {
  const found: ExperimentRef[] = []
  const missing: string[] = []
  for (const name of names) {
    const one = findExperiment(refs, name, head)
    if (one) found.push(one)
    else missing.push(name)
  }
  return { found, missing }
}

/** @throws CairnError FAILED when several have the name and none of them starts at `head` */
export function findExperiment(
  refs: readonly ExperimentRef[],
  name: string,
  head: string | undefined,
): ExperimentRef | undefined {
  const isSha = /^[0-9a-f]{7,40}$/.test(name)
  const named = refs.filter((each) => each.name === name || each.ref === name)
  const matching = named.length > 0 || !isSha ? named : refs.filter((each) => each.rev.startsWith(name))
  if (matching.length <= 1) return matching[0]
  const here = matching.find((each) => each.baseline === head)
  if (here) return here
  throw new CairnError(
    'FAILED',
    `Ambiguous name '${name}' refers to multiple experiments: ${matching.map((each) => each.ref).join(', ')}`,
    { hint: 'Name it by its full ref.' },
  )
}

/** @throws CairnError FAILED */
export function requireExperiment(refs: readonly ExperimentRef[], name: string, head: string | undefined): ExperimentRef {
  const found = findExperiment(refs, name, head)
  if (!found) throw new CairnError('FAILED', `'${name}' is not a valid experiment name`)
  return found
}

/** @throws CairnError FAILED when Git would not take the name for a ref, or it holds a slash */
export async function checkName(writer: GitWriter, name: string): Promise<void> {
  const bad = new CairnError(
    'FAILED',
    `Invalid exp name ${name}, the exp name must follow rules in https://git-scm.com/docs/git-check-ref-format`,
  )
  if (name === '' || name.includes('/') || name.startsWith('-')) throw bad
  try {
    await writer.ask(['check-ref-format', `refs/exps/${name}`])
  } catch (cause) {
    throw cause instanceof CairnError ? bad : cause
  }
}

/** @throws CairnError FAILED */
export function refuseTaken(refs: readonly ExperimentRef[], baseline: string, name: string): void {
  if (!refs.some((each) => each.baseline === baseline && each.name === name)) return
  throw new CairnError('FAILED', `Experiment conflicts with existing experiment '${name}'.`, {
    hint: 'To overwrite it give -f.',
  })
}

/** `azure-tach`: a name that no experiment has. */
export function randomName(refs: readonly Pick<ExperimentRef, 'name'>[]): string {
  const taken = new Set(refs.map(({ name }) => name))
  for (let number = 1; ; number++) {
    const name = `${pick(ADJECTIVES)}-${pick(NOUNS)}${number > 100 ? number : ''}`
    if (!taken.has(name)) return name
  }
}

const pick = (words: readonly string[]): string => words[randomInt(words.length)] ?? ''
