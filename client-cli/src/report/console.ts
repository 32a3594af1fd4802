import type { Event, Report } from './event.ts'
import { createProgress } from './progress.ts'
import type { Output } from './output.ts'

export interface Console {
  report: Report
  /** Prints what went wrong, also with `-q`: an exit code alone tells nobody what to do. */
  fail(text: string): void
  /** Takes the progress bars off the terminal. */
  close(): void
}

/** Results on stdout, everything else on stderr. `now` is in milliseconds. */
export function createConsole(
  stdout: Output,
  stderr: Output,
  options: { quiet: boolean; verbose: boolean; now?: () => number },
): Console {
  const { quiet, verbose } = options
  const progress = createProgress(stderr, options.now ?? (() => performance.now()))
  const print = (stream: Output, text: string) => {
    progress.clear()
    stream.write(text.endsWith('\n') ? text : `${text}\n`)
  }
  const warn = (text: string) => print(stderr, emphasize(stderr, printable(text)))

  function report(event: Event): void {
    switch (event.type) {
      case 'output':
        return print(stdout, event.text)
      case 'result':
        return quiet ? undefined : print(stdout, event.text)
      case 'note':
        return quiet ? undefined : print(stderr, printable(event.text))
      case 'warning':
        return quiet ? undefined : warn(`WARNING: ${event.text}`)
      case 'command-output': {
        progress.clear()
        return void (event.stream === 'stdout' ? stdout : stderr).write(event.text)
      }
      case 'debug':
        return verbose ? print(stderr, printable(`DEBUG: ${event.text}`)) : undefined
      case 'progress':
        return quiet ? undefined : progress.update(event)
      case 'progress-end':
        return quiet ? undefined : progress.end(event.task)
    }
  }

  return { report, fail: warn, close: () => progress.clear() }
}

/** Messages quote names and answers from elsewhere, which must not steer the terminal. */
function printable(text: string): string {
  return text.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

function emphasize(stream: Output, text: string): string {
  if (!stream.isTTY) return text
  return text.replace(/^(ERROR|WARNING)/, (word) => `\u001b[${word === 'ERROR' ? 31 : 33}m${word}\u001b[39m`)
}
