import type { Machine, Timing } from './machine.ts'
import type { Sample } from './ratio.ts'
import type { Step } from './steps.ts'
import type { Bench } from './subject.ts'

export interface Stage {
  machine: Machine
  /** Names the data in every sample. */
  set: string
  round: number
  keep(sample: Sample): void
  say(text: string): void
}

/** Every step by every subject, one subject right after the other: what is compared is as near in time as can be. */
export async function playInTurns(stage: Stage, benches: readonly Bench[], steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    for (const bench of benches) await playStep(stage, bench, step)
  }
}

export async function playStep(stage: Stage, bench: Bench, step: Step): Promise<void> {
  const { machine, set, round, keep, say } = stage
  for (let time = 0; time < (step.times ?? 1); time++) {
    await step.before?.(bench)
    await machine.settle()
    const timing = await step.run(bench)
    if (timing === undefined) return
    bench.done.set(step.operation, timing)
    keep({ set, operation: step.operation, subject: bench.subject.name, round, ...figures(timing) })
  }
  say(
    `${set}, round ${round + 1}: ${step.operation}, ${bench.subject.name}: ${bench.done.get(step.operation)?.seconds.toFixed(3)} s`,
  )
}

/** The figures alone, without what a program printed. */
export function figures({ seconds, cpu, serverCpu, mib, other }: Timing): Timing {
  return { seconds, cpu, serverCpu, mib, other }
}

/** A B C in one round, C B A in the next: whoever comes first meets another machine than whoever comes last. */
export function orderOf<T>(subjects: readonly T[], round: number): T[] {
  return round % 2 === 0 ? [...subjects] : subjects.toReversed()
}
