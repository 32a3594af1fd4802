/** What the bench keeps of one timed run. */
export interface Sample {
  /** Which data, e.g. `10,000 files`. */
  set: string
  operation: string
  subject: string
  round: number
  seconds: number
  /** User and system time of the program itself. */
  cpu: number
  /** The same of the servers behind it, when they are ours. */
  serverCpu: number
  /** Peak resident memory of the program, MiB; 0 where the system does not tell. */
  mib: number
  /** Cores that anything else used meanwhile. */
  other: number
}

/** More than this many cores used by something else: the wall clock is not to be trusted alone. */
export const NOISY_CORES = 0.3

export const isNoisy = (sample: Sample): boolean => sample.other > NOISY_CORES

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? (sorted[middle] ?? Number.NaN) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2
}

export type Measure = (sample: Sample) => number

export const wall: Measure = (sample) => sample.seconds
/** Client and servers together. */
export const allCpu: Measure = (sample) => sample.cpu + sample.serverCpu

/** One number a round: a short operation is run several times in it, and its median stands for the round. */
export function perRound(samples: readonly Sample[], measure: Measure = wall): Map<number, number> {
  const rounds = Map.groupBy(samples, (sample) => sample.round)
  return new Map([...rounds].map(([round, group]) => [round, median(group.map(measure))]))
}

/**
 * The median of the rounds' ratios: how many times longer `theirs` takes than `ours`. Only rounds that have both count: pairs of
 * one round share the machine's mood. NaN without such a round.
 */
export function pairedRatio(theirs: readonly Sample[], ours: readonly Sample[], measure: Measure = wall): number {
  const own = perRound(ours, measure)
  const ratios: number[] = []
  for (const [round, value] of perRound(theirs, measure)) {
    const mine = own.get(round)
    if (mine !== undefined && mine > 0) ratios.push(value / mine)
  }
  return median(ratios)
}
