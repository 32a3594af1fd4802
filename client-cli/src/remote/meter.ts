import type { Report } from '../report/event.ts'

/** The bytes of one transfer, for its progress bar. A body that starts over takes back what it had counted. */
export interface Meter {
  plan(bytes: number): void
  body(): BodyCount
  end(): void
}

export interface BodyCount {
  restart(): void
  add(bytes: number): void
}

export function createMeter(report: Report, task: string): Meter {
  let planned = 0
  let done = 0
  return {
    plan(bytes) {
      planned += bytes
    },
    body() {
      let counted = 0
      return {
        restart() {
          done -= counted
          counted = 0
        },
        add(bytes) {
          counted += bytes
          done += bytes
          report({ type: 'progress', task, done: Math.min(done, planned), total: planned, unit: 'bytes' })
        },
      }
    },
    end: () => report({ type: 'progress-end', task }),
  }
}
