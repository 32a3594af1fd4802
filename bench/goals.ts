import { allCpu, pairedRatio, type Sample } from './ratio.ts'

/** A figure that is no time: requests, bytes, memory, or seconds that only we need. */
export interface Quantity {
  set: string
  name: string
  subject: string
  value: number
  unit: 'requests' | 'MiB' | 's'
}

export interface Facts {
  samples: readonly Sample[]
  quantities: readonly Quantity[]
}

interface Common {
  /** As the table of goals calls it. */
  row: string
  set: string
}

/** `ours` is so many times faster than each of `theirs`. */
interface Faster extends Common {
  kind: 'faster'
  operation: string
  ours: readonly string[]
  theirs: readonly string[]
  least: number
  aim?: number
}

/** `ours` takes at most `times` as long as `theirs`, and `plus` seconds. `weight`: whether it must be reached or is only aimed at. */
interface Within extends Common {
  kind: 'within'
  operation: string
  ours: readonly string[]
  theirs: string
  times: number
  plus?: number
  weight: 'goal' | 'aim'
}

/** A quantity is at most so much, for every subject that has it. */
interface Most extends Common {
  kind: 'most'
  name: string
  most: number
  aim?: number
}

export type Goal = Faster | Within | Most

/** One line of the summary. `met` is undefined where nothing was measured. */
export interface Verdict {
  row: string
  goal: string
  measured: string
  /** The same by CPU seconds, which others on the machine disturb least. */
  cpu: string
  met: boolean | undefined
  aim: string
  aimMet: boolean | undefined
}

const LOCAL = { ours: ['cairn'], theirs: ['dvc'] }
const SERVERS = ['cairn → disk', 'cairn → S3']
const STOCK = ['dvc → HTTP', 'dvc → S3']
const TRANSFER = { ours: SERVERS, theirs: STOCK }
const TWICE_THE_FLOOR = { kind: 'within', ours: ['cairn'], theirs: 'floor', times: 2, weight: 'aim' } as const
const NOT_SLOWER_THAN_RESTIC = { kind: 'within', ours: ['cairn → S3'], theirs: 'restic → S3', times: 1 } as const

export const GOALS: readonly Goal[] = [
  { kind: 'faster', row: '--version', set: 'local', operation: '--version', ...LOCAL, least: 3 },
  {
    kind: 'within',
    row: '--version',
    set: 'local',
    operation: '--version',
    ours: ['cairn'],
    theirs: 'floor',
    times: 1,
    plus: 0.01,
    weight: 'aim',
  },
  { kind: 'faster', row: 'add cold', set: 'local', operation: 'add, cold', ...LOCAL, least: 4 },
  { ...TWICE_THE_FLOOR, row: 'add cold', set: 'local', operation: 'add, cold' },
  { ...TWICE_THE_FLOOR, row: 'add cold', set: 'local', operation: 'add, cold', theirs: 'restic → folder', times: 1 },
  { kind: 'faster', row: 'add, nothing new', set: 'local', operation: 'add, nothing new', ...LOCAL, least: 8 },
  { kind: 'faster', row: 'add after 100 changed', set: 'local', operation: 'add, 100 changed', ...LOCAL, least: 6 },
  { kind: 'faster', row: 'status', set: 'local', operation: 'status', ...LOCAL, least: 5, aim: 10 },
  { kind: 'faster', row: 'status, many files', set: 'wide local', operation: 'status', ...LOCAL, least: 5, aim: 10 },
  { kind: 'faster', row: 'checkout copy', set: 'local', operation: 'checkout, copy', ...LOCAL, least: 4 },
  { ...TWICE_THE_FLOOR, row: 'checkout copy', set: 'local', operation: 'checkout, copy' },
  { kind: 'faster', row: 'checkout hardlink', set: 'local', operation: 'checkout, hardlink', ...LOCAL, least: 3.5 },
  { ...TWICE_THE_FLOOR, row: 'checkout hardlink', set: 'local', operation: 'checkout, hardlink' },
  { kind: 'faster', row: 'checkout, nothing to do', set: 'local', operation: 'checkout, nothing to do', ...LOCAL, least: 8 },
  { ...TWICE_THE_FLOOR, row: 'checkout, nothing to do', set: 'local', operation: 'checkout, nothing to do' },
  { kind: 'faster', row: 'first push', set: 'transfer', operation: 'push, first', ...TRANSFER, least: 9, aim: 15 },
  { ...NOT_SLOWER_THAN_RESTIC, row: 'first push', set: 'transfer', operation: 'push, first', weight: 'aim' },
  { ...NOT_SLOWER_THAN_RESTIC, row: 'add and first push', set: 'transfer', operation: 'add and push, first', weight: 'aim' },
  ...pushNothing('push, nothing new', 'transfer', 15, 20),
  ...pushNothing('push, nothing new, many files', 'wide transfer', 50, 60),
  { kind: 'faster', row: 'push after 100 changed', set: 'transfer', operation: 'push, changed', ...TRANSFER, least: 15, aim: 25 },
  { kind: 'most', row: 'push after 100 changed', set: 'transfer', name: 'push, changed: requests', most: 8 },
  { kind: 'faster', row: 'pull', set: 'transfer', operation: 'pull, fresh clone', ...TRANSFER, least: 8, aim: 12 },
  { ...NOT_SLOWER_THAN_RESTIC, row: 'pull', set: 'transfer', operation: 'pull, fresh clone', weight: 'aim' },
  { kind: 'faster', row: 'first push, latency', set: 'latency', operation: 'push, first', ...TRANSFER, least: 30, aim: 50 },
  { kind: 'faster', row: 'pull, latency', set: 'latency', operation: 'pull, fresh clone', ...TRANSFER, least: 30, aim: 50 },
  { kind: 'faster', row: '1 GiB: add', set: 'big', operation: 'add, cold', ...TRANSFER, least: 1 },
  { kind: 'faster', row: '1 GiB: push', set: 'big', operation: 'push, first', ...TRANSFER, least: 1.5 },
  { kind: 'faster', row: '1 GiB: pull', set: 'big', operation: 'pull, fresh clone', ...TRANSFER, least: 1.5 },
  ...direct('1 GiB: push', 'push, first'),
  ...direct('1 GiB: pull', 'pull, fresh clone'),
  { kind: 'most', row: '1 GiB: client memory', set: 'big', name: 'peak of the client', most: 150 },
  { kind: 'most', row: '64 KiB changed: bytes on the wire', set: 'big', name: 'push, changed: sent', most: 4 },
  { ...NOT_SLOWER_THAN_RESTIC, row: '64 KiB changed: push', set: 'big', operation: 'push, changed', weight: 'goal' },
  {
    ...NOT_SLOWER_THAN_RESTIC,
    row: '64 KiB changed: add and push',
    set: 'big',
    operation: 'add and push, changed',
    weight: 'aim',
  },
  ...stages('3 stages, nothing to do: repro', 'pipeline of 3', 'repro, nothing to do', 6),
  ...stages('3 stages: status', 'pipeline of 3', 'status', 6),
  ...stages('100 stages, nothing to do: repro', 'pipeline of 100', 'repro, nothing to do', 9),
  ...stages('100 stages, cold: repro', 'pipeline of 100', 'repro, cold', 12),
  ...stages('100 stages: status', 'pipeline of 100', 'status', 6),
  ...stages('100 stages: dag', 'pipeline of 100', 'dag', 6),
  ...['status', 'data status', 'dag', 'metrics diff'].flatMap((operation) =>
    stages(`project: ${operation}`, 'project', operation, 6),
  ),
  { kind: 'most', row: '1,000,000 entries, one changed: wire', set: 'scale', name: 'tree push, changed: sent', most: 1 },
  { kind: 'most', row: '1,000,000 entries, one changed: server', set: 'scale', name: 'tree push: peak of the server', most: 512 },
  { kind: 'most', row: '1,000,000 entries, one changed: CLI', set: 'scale', name: 'tree push: peak of the client', most: 512 },
  { kind: 'most', row: '64 uploads at once: server', set: 'scale', name: 'uploads: peak of the server', most: 512, aim: 300 },
  { kind: 'most', row: 'asking for 1,000,000 digests', set: 'scale', name: 'asking: time', most: 10, aim: 3 },
  { kind: 'most', row: 'asking for 1,000,000 digests: server', set: 'scale', name: 'asking: peak of the server', most: 512 },
]

function pushNothing(row: string, set: string, least: number, aim: number): Goal[] {
  const operation = 'push, nothing new, fresh index'
  return [
    { kind: 'faster', row, set, operation, ...TRANSFER, least, aim },
    { kind: 'most', row, set, name: `${operation}: requests`, most: 3 },
  ]
}

function stages(row: string, set: string, operation: string, least: number): Goal[] {
  return [{ kind: 'faster', row, set, operation, ...LOCAL, least }]
}

/** Straight from and to the bucket: twice as fast as stock is the aim. */
function direct(row: string, operation: string): Goal[] {
  return [{ kind: 'faster', row, set: 'big', operation, ours: ['cairn → S3 direct'], theirs: ['dvc → S3'], least: 1.5, aim: 2 }]
}

/** Every goal against what was measured: one verdict for each pair of subjects; one without figures where nothing was measured. */
export function judge(goals: readonly Goal[], facts: Facts): Verdict[] {
  return goals.flatMap((goal) => {
    const verdicts =
      goal.kind === 'most' ? judgeMost(goal, facts) : goal.kind === 'faster' ? judgeFaster(goal, facts) : judgeWithin(goal, facts)
    return verdicts.length > 0 ? verdicts : [notMeasured(goal)]
  })
}

function judgeFaster(goal: Faster, { samples }: Facts): Verdict[] {
  return goal.ours.flatMap((ours) =>
    goal.theirs.flatMap((theirs) => {
      const pair = [find(samples, goal, theirs), find(samples, goal, ours)] as const
      const ratio = pairedRatio(...pair)
      if (Number.isNaN(ratio)) return []
      return [
        {
          row: `${goal.row}: ${ours} against ${theirs}`,
          goal: `≥ ${goal.least}×`,
          measured: `${ratio.toFixed(1)}×`,
          cpu: `${pairedRatio(...pair, allCpu).toFixed(1)}×`,
          met: ratio >= goal.least,
          aim: goal.aim === undefined ? '' : `${goal.aim}×`,
          aimMet: goal.aim === undefined ? undefined : ratio >= goal.aim,
        },
      ]
    }),
  )
}

function judgeWithin(goal: Within, { samples }: Facts): Verdict[] {
  return goal.ours.flatMap((ours): Verdict[] => {
    const [own, others] = [find(samples, goal, ours), find(samples, goal, goal.theirs)]
    const less = own.map((sample) => ({ ...sample, seconds: sample.seconds - (goal.plus ?? 0) }))
    const ratio = pairedRatio(less, others)
    if (Number.isNaN(ratio)) return []
    const met = ratio <= goal.times
    const plus = goal.plus === undefined ? '' : ` + ${(goal.plus * 1000).toFixed(0)} ms`
    const words = `≤ ${goal.times}× ${goal.theirs}${plus}`
    const line = {
      row: `${goal.row}: ${ours} against ${goal.theirs}`,
      measured: `${ratio.toFixed(2)}×${plus}`,
      cpu: `${pairedRatio(own, others, allCpu).toFixed(2)}×`,
    }
    return goal.weight === 'goal'
      ? [{ ...line, goal: words, met, aim: '', aimMet: undefined }]
      : [{ ...line, goal: '', met: undefined, aim: words, aimMet: met }]
  })
}

function judgeMost(goal: Most, { quantities }: Facts): Verdict[] {
  const found = quantities.filter(({ set, name }) => set === goal.set && name === goal.name)
  return found.map(({ subject, value, unit }) => ({
    row: `${goal.row}: ${subject}`,
    goal: `≤ ${goal.most} ${unit}`,
    measured: `${shown(value, unit)} ${unit}`,
    cpu: '',
    met: value <= goal.most,
    aim: goal.aim === undefined ? '' : `${goal.aim} ${unit}`,
    aimMet: goal.aim === undefined ? undefined : value <= goal.aim,
  }))
}

function notMeasured(goal: Goal): Verdict {
  const words =
    goal.kind === 'faster'
      ? `≥ ${goal.least}×`
      : goal.kind === 'most'
        ? `≤ ${goal.most}`
        : goal.weight === 'goal'
          ? `≤ ${goal.times}× ${goal.theirs}`
          : ''
  const aim = goal.kind === 'within' ? (goal.weight === 'aim' ? `≤ ${goal.times}× ${goal.theirs}` : '') : `${goal.aim ?? ''}`
  return { row: goal.row, goal: words, measured: 'not measured', cpu: '', met: undefined, aim, aimMet: undefined }
}

function find(samples: readonly Sample[], goal: Faster | Within, subject: string): Sample[] {
  return samples.filter((sample) => sample.set === goal.set && sample.operation === goal.operation && sample.subject === subject)
}

export function shown(value: number, unit: Quantity['unit']): string {
  if (unit === 'requests') return value.toFixed(0)
  return value < 10 ? value.toFixed(2) : value.toFixed(0)
}
