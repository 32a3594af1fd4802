import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'

export type Log = Logger

const LEVELS: Readonly<Record<number, string>> = { 20: 'debug', 30: '', 40: 'warning', 50: 'error', 60: 'fatal' }

/** JSON lines, or plain lines where a person reads along. What could hold a secret is left out by its name. */
export function createLog(options: { level: string; pretty: boolean }): Log {
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      redact: { paths: ['authorization', '*.authorization', 'secret', '*.secret', 'password', '*.password'], remove: true },
    },
    options.pretty ? plainLines() : pino.destination({ dest: 1, sync: false }),
  )
}

function plainLines(): DestinationStream {
  return {
    write(line: string) {
      const { level, time, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown> & { err?: { stack?: string } }
      const fields = Object.entries(rest).map(
        ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
      )
      const words = [String(time).slice(11, 19), LEVELS[Number(level)], msg, ...fields, err?.stack].filter(Boolean)
      process.stdout.write(`${words.join(' ')}\n`)
    },
  }
}
