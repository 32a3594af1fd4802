/**
 * What happens, apart from the words for it. Commands and engines send events; report/console.ts finds the words and the
 * stream (results on stdout, the rest on stderr), report/json.ts keeps the fields.
 */
export type Event =
  /** One line of result, for stdout. */
  | { type: 'result'; text: string }
  /** Result that `-q` does not silence (tables and JSON that were asked for). */
  | { type: 'output'; text: string }
  /** What a person wants to know but no program reads: stderr. */
  | { type: 'note'; text: string }
  | { type: 'warning'; text: string }
  /** What a stage's command printed, as it is: a piece of text on the stream that it went to. */
  | { type: 'command-output'; stream: 'stdout' | 'stderr'; text: string }
  /** Only with -v. */
  | { type: 'debug'; text: string }
  /**
   * `done` of `total` so far; drawn as a bar on a terminal, as one line every 10 s elsewhere. Same `task`: same bar.
   * `waiting`: why it stands still at the moment.
   */
  | {
      type: 'progress'
      task: string
      done: number
      total?: number | undefined
      unit: 'files' | 'bytes'
      waiting?: string | undefined
    }
  | { type: 'progress-end'; task: string }

export type Report = (event: Event) => void
