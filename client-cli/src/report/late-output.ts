import type { Output } from './output.ts'

/** An output that is opened when the first thing is printed: Node loads a network's worth of streams for it. */
export interface LateOutput extends Output {
  /** Settles when everything printed has left. */
  flush(): Promise<void>
}

/** A reader that has gone, as in `cairn … | head`, ends the process: it is not a failure of ours. */
export function openLate(open: () => NodeJS.WriteStream): LateOutput {
  let stream: NodeJS.WriteStream | undefined
  const opened = (): NodeJS.WriteStream => {
    if (stream) return stream
    stream = open()
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(141)
      throw error
    })
    return stream
  }
  return {
    write: (text) => opened().write(text),
    get isTTY() {
      return opened().isTTY
    },
    get columns() {
      return opened().columns
    },
    async flush() {
      const last = stream
      if (last) await new Promise<void>((resolve) => last.write('', () => resolve()))
    },
  }
}
