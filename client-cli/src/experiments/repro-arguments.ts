/** How `exp run` was called, as dvc keeps it beside a queued experiment. */
export interface ReproArguments {
  targets: readonly string[]
  /** `single_item`, `force`, `pipeline`, …: dvc's names. */
  flags: Readonly<Record<string, boolean>>
}

/** Where it lies in the queued experiment's tree. */
export const ARGUMENTS_FILE = '.dvc/tmp/repro.dat'

const FLAGS = [
  'single_item',
  'force',
  'dry',
  'interactive',
  'pipeline',
  'all_pipelines',
  'downstream',
  'recursive',
  'force_downstream',
  'pull',
  'allow_missing',
]

/** As Python's pickle in its oldest protocol, which is text. */
export function writeArguments({ targets, flags }: ReproArguments, runEnv: Readonly<Record<string, string>>): string {
  const kwargs = dict([
    ['run_env', dict(Object.entries(runEnv).map(([key, value]) => [key, text(value)]))],
    ['targets', `(l${targets.map((target) => `${text(target)}a`).join('')}`],
    ...FLAGS.map((flag) => [flag, flags[flag] === true ? 'I01\n' : 'I00\n'] as const),
    ['on_error', text('fail')],
  ])
  return `${dict([
    ['args', '(t'],
    ['kwargs', kwargs],
  ])}.`
}

const dict = (entries: ReadonlyArray<readonly [string, string]>): string =>
  `(d${entries.map(([key, value]) => `${text(key)}${value}s`).join('')}`

const text = (value: string): string =>
  `V${value.replace(/[\\\n\r\0\u001a]|[^\0-\u007f]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)}\n`

/** undefined when the pickle holds more than what dvc writes for these calls. */
export function readArguments(pickle: Buffer): ReproArguments | undefined {
  const value = unpickle(pickle)
  const kwargs = value instanceof Map ? (value.get('kwargs') as unknown) : undefined
  if (!(kwargs instanceof Map)) return undefined
  const targets: unknown = kwargs.get('targets') ?? []
  if (!Array.isArray(targets) || !targets.every((target) => typeof target === 'string')) return undefined
  const flags = FLAGS.filter((flag) => kwargs.get(flag) === true)
  return { targets, flags: Object.fromEntries(flags.map((flag) => [flag, true])) }
}

const MARK = Symbol('mark')

/** Texts, booleans, None, lists, tuples and dicts; anything else, which could be code, is refused with undefined. */
function unpickle(bytes: Buffer): unknown {
  const stack: unknown[] = []
  const memo: unknown[] = []
  const sinceMark = () => stack.splice(stack.lastIndexOf(MARK)).slice(1)
  const setAll = (pairs: readonly unknown[]) => {
    const map = stack.at(-1)
    if (map instanceof Map) for (let at = 0; at + 1 < pairs.length; at += 2) map.set(pairs[at], pairs[at + 1])
  }
  const appendAll = (values: readonly unknown[]) => {
    const list = stack.at(-1)
    if (Array.isArray(list)) list.push(...values)
  }
  for (let at = 0; at < bytes.length;) {
    const code = String.fromCharCode(bytes[at++] ?? 0)
    const take = (length: number) => bytes.subarray(at, (at += length))
    const line = () =>
      take(Math.max(0, bytes.indexOf(10, at) - at) + 1)
        .toString('latin1')
        .slice(0, -1)
    if (code === '.') return stack.pop()
    else if (code === '\x80') take(1)
    else if (code === '\x95') take(8)
    else if (code === '(') stack.push(MARK)
    else if (code === '}') stack.push(new Map())
    else if (code === ']') stack.push([])
    else if (code === ')') stack.push([])
    else if (code === 'd') pushDict(stack, sinceMark())
    else if (code === 'l' || code === 't') stack.push(sinceMark())
    else if (code === '\x88') stack.push(true)
    else if (code === '\x89') stack.push(false)
    else if (code === 'N') stack.push(null)
    else if (code === 'I') stack.push(line() === '01')
    else if (code === 'K') stack.push(take(1)[0])
    else if (code === 'V')
      stack.push(line().replace(/\\u([0-9a-f]{4})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))))
    else if (code === '\x8c') stack.push(take(take(1)[0] ?? 0).toString())
    else if (code === 'X') stack.push(take(take(4).readUInt32LE()).toString())
    else if (code === '\x94') memo.push(stack.at(-1))
    else if (code === 'h') stack.push(memo[take(1)[0] ?? 0])
    else if (code === 's') setAll(stack.splice(-2))
    else if (code === 'u') setAll(sinceMark())
    else if (code === 'a') appendAll(stack.splice(-1))
    else if (code === 'e') appendAll(sinceMark())
    else return undefined
  }
  return undefined
}

function pushDict(stack: unknown[], pairs: readonly unknown[]): void {
  const map = new Map<unknown, unknown>()
  for (let at = 0; at + 1 < pairs.length; at += 2) map.set(pairs[at], pairs[at + 1])
  stack.push(map)
}
