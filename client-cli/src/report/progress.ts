import type { Event } from './event.ts'
import type { Output } from './output.ts'

type Step = Extract<Event, { type: 'progress' }>

interface Task {
  step: Step
  startedAt: number
  /** When it was last told, where there is no terminal. */
  toldAt: number
}

/** 10 Hz: smooth for an eye, and cheap over ssh. */
const REDRAW_MS = 100
const TELL_MS = 10_000

/** Bars on a terminal, one line per task every 10 s elsewhere. A task that ends sooner leaves no trace. */
export interface Progress {
  update(step: Step): void
  end(task: string): void
  /** Takes the bars away before other text is printed; the next update draws them again. */
  clear(): void
}

export function createProgress(stream: Output, now: () => number): Progress {
  const tasks = new Map<string, Task>()
  let drawnLines = 0
  let drawnAt = -Infinity

  function clear(): void {
    if (drawnLines > 0) stream.write(`\r\u001b[2K${'\u001b[1A\u001b[2K'.repeat(drawnLines - 1)}`)
    drawnLines = 0
  }

  function draw(at: number): void {
    // One column stays free: a full line would wrap, and the cursor would be lost.
    const width = Math.max(20, (stream.columns ?? 80) - 1)
    const lines = [...tasks.values()].map((task) => barLine(task, at, width))
    clear()
    stream.write(lines.join('\n'))
    drawnLines = lines.length
    drawnAt = at
  }

  return {
    update(step) {
      const at = now()
      const task = tasks.get(step.task) ?? { step, startedAt: at, toldAt: at }
      const turned = (task.step.waiting === undefined) !== (step.waiting === undefined)
      task.step = step
      tasks.set(step.task, task)
      if (stream.isTTY) {
        if (turned || at - drawnAt >= REDRAW_MS) draw(at)
      } else if (at - task.toldAt >= TELL_MS) {
        task.toldAt = at
        stream.write(`${describe(task, at)}\n`)
      }
    },
    end(name) {
      tasks.delete(name)
      clear()
    },
    clear,
  }
}

function barLine(task: Task, at: number, width: number): string {
  const text = describe(task, at)
  const { done, total } = task.step
  const room = Math.min(30, width - text.length - 3)
  if (total === undefined || total <= 0 || room < 8) return text.slice(0, width)
  const filled = Math.round(room * Math.min(1, done / total))
  return `${text} |${'█'.repeat(filled)}${'·'.repeat(room - filled)}|`
}

function describe({ step, startedAt }: Task, at: number): string {
  const { task, done, total, unit, waiting } = step
  const seconds = (at - startedAt) / 1000
  const rate = seconds >= 1 ? done / seconds : undefined
  const parts = [
    total === undefined ? amount(done, unit) : `${percent(done, total)} ${amount(done, unit)} of ${amount(total, unit)}`,
  ]
  if (waiting !== undefined) parts.push(waiting)
  else if (rate !== undefined && rate > 0) {
    parts.push(`${amount(rate, unit)}/s`)
    if (total !== undefined && total > done) parts.push(`${duration((total - done) / rate)} left`)
  }
  return `${task} ${parts.join(', ')}`
}

function percent(done: number, total: number): string {
  return `${String(total <= 0 ? 100 : Math.floor((100 * Math.min(done, total)) / total)).padStart(3)}%`
}

function amount(count: number, unit: Step['unit']): string {
  return unit === 'bytes' ? formatBytes(count) : Math.round(count).toLocaleString('en-US')
}

/** `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let size = bytes
  let at = 0
  while (size >= 1024 && at < units.length - 1) {
    size /= 1024
    at++
  }
  return `${at === 0 ? Math.round(size) : size.toFixed(1)} ${units[at]}`
}

function duration(seconds: number): string {
  const whole = Math.round(seconds)
  const parts =
    whole >= 3600 ? [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60] : [Math.floor(whole / 60), whole % 60]
  return parts.map((part, at) => (at === 0 ? String(part) : String(part).padStart(2, '0'))).join(':')
}
