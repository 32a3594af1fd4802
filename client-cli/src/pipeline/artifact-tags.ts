/** One annotated tag of a Git repository. */
export interface GitTag {
  name: string
  commit: string
  /** Seconds. */
  created: number
}

/** Which state of an artifact: a version, what a stage has now, or with neither the greatest version. */
export interface ArtifactChoice {
  version?: string | undefined
  stage?: string | undefined
}

interface Mark {
  kind: 'version' | 'stage'
  /** `v1.0.0`, `prod`. */
  label: string
  withdrawn: boolean
  order: number
  tag: GitTag
}

/**
 * The tag that stands for an artifact's state, as GTO names them: `name@v1.0.0`, `name#stage#2`, with `folder=` before the name of one whose
 * dvc.yaml is not in the root, and `!` behind a label that is withdrawn. undefined when there is none.
 */
export function chooseTag(
  tags: readonly GitTag[],
  artifact: { folder: string; name: string },
  choice: ArtifactChoice,
): GitTag | undefined {
  const prefix = artifact.folder === '' ? artifact.name : `${artifact.folder}=${artifact.name}`
  const marks = tags
    .flatMap((tag) => markOf(tag, prefix) ?? [])
    .toSorted((a, b) => a.tag.created - b.tag.created || a.order - b.order)
  const valid = new Map<string, Mark>()
  // Of two with the same label the later one counts; one that withdraws it takes it away.
  for (const mark of marks) {
    const key = `${mark.kind} ${mark.label}`
    valid.delete(key)
    if (!mark.withdrawn) valid.set(key, mark)
  }
  if (choice.version !== undefined) return valid.get(`version ${choice.version}`)?.tag
  if (choice.stage !== undefined) return valid.get(`stage ${choice.stage}`)?.tag
  const versions = [...valid.values()].filter(({ kind }) => kind === 'version')
  return versions.toSorted((a, b) => compareVersions(a.label, b.label)).at(-1)?.tag
}

const VERSION = /^@(v\d+\.\d+\.\d+(?:-[\w.-]+)?(?:\+[\w.-]+)?)(!?)(?:#(\d+))?$/
const STAGE = /^#([a-z][a-z0-9-/]*)(!?)(?:#(\d+))?$/

function markOf(tag: GitTag, prefix: string): Mark | undefined {
  if (!tag.name.startsWith(prefix)) return undefined
  const rest = tag.name.slice(prefix.length)
  for (const [kind, pattern] of [
    ['version', VERSION],
    ['stage', STAGE],
  ] as const) {
    const [, label, withdrawn, order = '0'] = pattern.exec(rest) ?? []
    if (label !== undefined) return { kind, label, withdrawn: withdrawn === '!', order: Number(order), tag }
  }
  return undefined
}

/** The order of semantic versions: a pre-release comes before its release, numbers before words. */
function compareVersions(a: string, b: string): number {
  const [left, right] = [partsOf(a), partsOf(b)]
  const order = compareParts(left.numbers, right.numbers)
  if (order !== 0) return order
  if (left.early.length === 0 || right.early.length === 0) return right.early.length - left.early.length
  return compareParts(left.early, right.early)
}

function partsOf(version: string): { numbers: string[]; early: string[] } {
  const [, numbers = '', early] = /^v([\d.]+)(?:-([^+]*))?/.exec(version) ?? []
  return { numbers: numbers.split('.'), early: early?.split('.') ?? [] }
}

function compareParts(a: readonly string[], b: readonly string[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const [one, other] = [a[at], b[at]]
    if (one === other) continue
    if (one === undefined || other === undefined) return one === undefined ? -1 : 1
    const numeric = [one, other].map((part) => /^\d+$/.test(part))
    if (numeric[0] && numeric[1]) return Number(one) - Number(other)
    if (numeric[0] !== numeric[1]) return numeric[0] ? -1 : 1
    return one < other ? -1 : 1
  }
  return 0
}
