import { type Quantity, shown, type Verdict } from './goals.ts'
import { allCpu, isNoisy, median, pairedRatio, type Sample } from './ratio.ts'

const HEADINGS = [
  'operation',
  'subject',
  'median s',
  'min–max s',
  'CPU s: client + servers',
  'peak MiB',
  'ratio to cairn',
  'CPU ratio',
  'noisy',
]

/** Every operation with the medians of all subjects; the ratios are to the first subject that is cairn. */
export function timesTable(samples: readonly Sample[]): string {
  const rows = [HEADINGS, HEADINGS.map(() => '---')]
  for (const [operation, ofAll] of byOperation(samples)) {
    const subjects = Map.groupBy(ofAll, (sample) => sample.subject)
    const [first] = [...subjects.keys()].filter((name) => name.startsWith('cairn')).toSorted((a, b) => a.localeCompare(b, 'en'))
    for (const [subject, own] of subjects) {
      const ours = first === undefined || subject === first ? undefined : subjects.get(first)
      rows.push([operation, subject, ...timesOf(own), ...ratiosTo(ours, own), noiseOf(own)])
    }
  }
  return lines(rows)
}

/** In the order of the day; the floors are measured apart from it. */
function byOperation(samples: readonly Sample[]): Map<string, Sample[]> {
  const isFloor = ({ subject }: Sample) => subject === 'floor'
  const ordered = [...samples.filter((sample) => !isFloor(sample)), ...samples.filter(isFloor)]
  return Map.groupBy(ordered, (sample) => sample.operation)
}

function timesOf(samples: readonly Sample[]): string[] {
  const seconds = samples.map((sample) => sample.seconds)
  const peak = Math.max(...samples.map((sample) => sample.mib))
  return [
    median(seconds).toFixed(3),
    `${Math.min(...seconds).toFixed(3)}–${Math.max(...seconds).toFixed(3)}`,
    `${median(samples.map(({ cpu }) => cpu)).toFixed(2)} + ${median(samples.map(({ serverCpu }) => serverCpu)).toFixed(2)}`,
    peak > 0 ? peak.toFixed(0) : '',
  ]
}

function ratiosTo(ours: readonly Sample[] | undefined, own: readonly Sample[]): string[] {
  if (!ours) return ['', '']
  return [pairedRatio(own, ours), pairedRatio(own, ours, allCpu)].map((ratio) =>
    Number.isNaN(ratio) ? '' : `${ratio.toFixed(1)}×`,
  )
}

function noiseOf(samples: readonly Sample[]): string {
  const noisy = samples.filter(isNoisy).length
  return noisy === 0 ? '' : `${noisy} of ${samples.length}`
}

export function quantitiesTable(quantities: readonly Quantity[]): string {
  const rows = quantities.map(({ name, subject, value, unit }) => [name, subject, `${shown(value, unit)} ${unit}`])
  return lines([['figure', 'subject', 'value'], ['---', '---', '---'], ...rows])
}

const MARKS = { true: '✓', false: '✗', undefined: '' }
const mark = (met: boolean | undefined): string => MARKS[`${met}`]

/** The goals, and whether they are met. */
export function summaryTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ row, goal, measured, cpu, met, aim, aimMet }) => [
    row,
    goal,
    measured,
    cpu,
    met === undefined && aimMet === undefined ? '–' : mark(met),
    `${aim} ${mark(aimMet)}`.trim(),
  ])
  return lines([['row', 'goal', 'measured', 'by CPU', 'met', 'aim'], ['---', '---', '---', '---', '---', '---'], ...rows])
}

const lines = (rows: ReadonlyArray<readonly string[]>): string => rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')
