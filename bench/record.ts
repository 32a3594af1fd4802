import { appendFileSync, readFileSync } from 'node:fs'
import type { Facts, Quantity } from './goals.ts'
import type { Sample } from './ratio.ts'

/** One line of the file of raw results. */
type Line = ({ type: 'sample' } & Sample) | ({ type: 'quantity' } & Quantity) | { type: 'set'; set: string; title: string }

/** All that was measured, kept in memory and, as it comes, in a file. */
export interface Record extends Facts {
  /** What each set of samples is, for people. */
  titles: Map<string, string>
  samples: Sample[]
  quantities: Quantity[]
  title(set: string, title: string): void
  keep(sample: Sample): void
  note(quantity: Quantity): void
}

export function createRecord(file: string | undefined): Record {
  const write = (line: Line) => {
    if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`)
  }
  const record: Record = {
    titles: new Map(),
    samples: [],
    quantities: [],
    title(set, title) {
      record.titles.set(set, title)
      write({ type: 'set', set, title })
    },
    keep(sample) {
      record.samples.push(sample)
      write({ type: 'sample', ...sample })
    },
    note(quantity) {
      record.quantities.push(quantity)
      write({ type: 'quantity', ...quantity })
    },
  }
  return record
}

/** Reads what `createRecord` wrote. A figure that was noted twice counts as it was noted last. */
export function readRecord(file: string): Record {
  const record = createRecord(undefined)
  for (const text of readFileSync(file, 'utf8').split('\n').filter(Boolean)) {
    const line = JSON.parse(text) as Line
    if (line.type === 'set') record.title(line.set, line.title)
    else if (line.type === 'sample') record.keep(line)
    else {
      record.quantities = record.quantities.filter((other) => !isSame(other, line))
      record.note(line)
    }
  }
  return record
}

const isSame = (one: Quantity, other: Quantity): boolean =>
  one.set === other.set && one.name === other.name && one.subject === other.subject
