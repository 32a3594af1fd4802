import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import type { Event, Report } from '../report/event.ts'

/** What one stage says and what its command prints; the texts of stages that run side by side do not mix. */
export interface Voice {
  report: Report
  /** `changed`: an empty line follows, unless nothing more is said. */
  close(outcome: 'changed' | 'fresh' | 'failed'): void
}

export interface Voices {
  open(): Voice
  /** Lets out what is still held back, in order: for an interruption. */
  closeAll(): void
}

/** Characters of one stage that are held in memory; what is beyond goes through a file. */
const HELD = 1 << 20

/**
 * The voice in front, opened first and not closed yet, is heard at once; the others are held back until it is their turn.
 * `spillFile` names a file of its own for the voice of that number.
 */
export function createVoices(report: Report, spillFile: (number: number) => string): Voices {
  const line: Held[] = []
  let opened = 0
  let blank = false

  function lead(): void {
    for (let first = line[0]; first; first = line[0]) {
      if (first.outcome === undefined) return
      endLine(first)
      blank = first.outcome === 'changed' || (first.outcome === 'failed' && first.wasBlank)
      line.shift()
      if (line[0]) letOut(line[0])
    }
  }

  function letOut(voice: Held): void {
    voice.wasBlank = blank
    for (const event of voice.events.drain()) say(voice, event)
  }

  function say(voice: Held, event: Event): void {
    if (blank && event.type !== 'progress' && event.type !== 'progress-end') {
      blank = false
      report({ type: 'result', text: '' })
    }
    if (event.type !== 'command-output' && voice.midLine !== undefined) endLine(voice)
    if (event.type === 'command-output') voice.midLine = event.text.endsWith('\n') ? undefined : event.stream
    report(event)
  }

  function endLine(voice: Held): void {
    if (voice.midLine !== undefined) report({ type: 'command-output', stream: voice.midLine, text: '\n' })
    voice.midLine = undefined
  }

  function close(voice: Held, outcome: Held['outcome']): void {
    if (voice.outcome !== undefined) return
    voice.outcome = outcome
    lead()
  }

  return {
    open() {
      const voice: Held = { events: createEvents(spillFile(++opened)), outcome: undefined, midLine: undefined, wasBlank: false }
      line.push(voice)
      if (line[0] === voice) letOut(voice)
      return {
        report: (event) => (line[0] === voice ? say(voice, event) : voice.events.add(event)),
        close: (outcome) => close(voice, outcome),
      }
    },
    closeAll() {
      for (const voice of [...line]) close(voice, 'fresh')
    },
  }
}

interface Held {
  events: Events
  outcome: 'changed' | 'fresh' | 'failed' | undefined
  /** Where the command's last line has not ended. */
  midLine: 'stdout' | 'stderr' | undefined
  wasBlank: boolean
}

interface Events {
  add(event: Event): void
  /** Everything that was added, once. */
  drain(): Iterable<Event>
}

function createEvents(file: string): Events {
  let held: Event[] = []
  let size = 0
  let fd: number | undefined
  return {
    add(event) {
      // How far a stage in the background is would be drawn over the one in front, and is over when its turn comes.
      if (event.type === 'progress' || event.type === 'progress-end') return
      size += event.text.length
      if (fd === undefined && size <= HELD) return void held.push(event)
      fd ??= openSync(file, 'wx+', 0o600)
      writeSync(fd, `${JSON.stringify(event)}\n`)
    },
    *drain() {
      const events = held
      held = []
      size = 0
      yield* events
      if (fd === undefined) return
      try {
        for (const line of linesOf(fd)) yield JSON.parse(line) as Event
      } finally {
        closeSync(fd)
        rmSync(file, { force: true })
        fd = undefined
      }
    },
  }
}

function* linesOf(fd: number): Generator<string> {
  const decoder = new StringDecoder('utf8')
  const buffer = Buffer.alloc(1 << 16)
  let rest = ''
  for (let at = 0; ;) {
    const count = readSync(fd, buffer, 0, buffer.length, at)
    if (count === 0) return
    at += count
    const lines = (rest + decoder.write(buffer.subarray(0, count))).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}
