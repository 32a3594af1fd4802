import { createInterface } from 'node:readline'

/** Asks on the terminal, or reads the next line of standard input. Anything but yes is no, and so is the end of the input. */
export async function confirm(question: string): Promise<boolean> {
  const { stdin, stderr } = process
  stderr.write(`${question} [y/n]: `)
  const lines = createInterface({ input: stdin })
  try {
    for await (const line of lines) {
      const word = line.trim().toLowerCase()
      if (['y', 'yes'].includes(word)) return true
      if (['n', 'no'].includes(word)) return false
      stderr.write(`Your response must be one of 'y', 'yes', 'n', 'no': `)
    }
    return false
  } finally {
    lines.close()
    stdin.pause()
  }
}
