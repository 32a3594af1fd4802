import type { Report } from '../report/event.ts'

/** The bytes of one transfer, for its progress bar. A body that starts over takes back what it had counted. */
export interface Meter {
  /** These bytes are going to be moved, and `toCome` more, as far as can be told by now. */
  plan(bytes: number, toCome?: number): void
  body(): BodyCount
  /** It stands still, for this reason, until the next bytes move. */
  wait(reason: string): void
  end(): void
}

export interface BodyCount {
  restart(): void
  add(bytes: number): void
}

export function createMeter(report: Report, task: string): Meter {
  let planned = 0
  let coming = 0
  let done = 0
  const tell = (waiting?: string) => {
    const total = Math.max(done, planned + coming)
    report({ type: 'progress', task, done, total, unit: 'bytes', waiting })
  }
  return {
    plan(bytes, toCome = 0) {
      planned += bytes
      coming = toCome
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
          tell()
        },
      }
    },
    wait: tell,
    end: () => report({ type: 'progress-end', task }),
  }
}
