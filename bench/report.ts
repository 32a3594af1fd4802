import { median, type Sample } from './measure.ts'

export interface Row {
  operation: string
  subject: string
  samples: Sample[]
}

/** A Markdown table: each operation with the medians of all subjects, and how many times faster the first subject is. */
export function table(rows: readonly Row[], first: string): string {
  const lines = ['| operation | subject | median s | min–max s | peak MiB | ratio to cairn |', '|---|---|---|---|---|---|']
  for (const operation of new Set(rows.map((row) => row.operation))) {
    const own = rows.find((row) => row.operation === operation && row.subject === first)
    for (const row of rows.filter((other) => other.operation === operation)) {
      const seconds = row.samples.map((sample) => sample.seconds)
      const ratio = own && own !== row ? `${pairedRatio(row.samples, own.samples).toFixed(1)}x` : ''
      const peak = Math.max(...row.samples.map((sample) => sample.mib)).toFixed(0)
      const range = `${Math.min(...seconds).toFixed(3)}–${Math.max(...seconds).toFixed(3)}`
      lines.push(`| ${operation} | ${row.subject} | ${median(seconds).toFixed(3)} | ${range} | ${peak} | ${ratio} |`)
    }
  }
  return lines.join('\n')
}

/** The median of the rounds' ratios: pairs of one round share the machine's mood. */
export function pairedRatio(samples: readonly Sample[], own: readonly Sample[]): number {
  return median(samples.map((sample, round) => sample.seconds / (own[round]?.seconds ?? Number.NaN)))
}
