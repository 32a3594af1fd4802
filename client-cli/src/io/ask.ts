import { createInterface } from 'node:readline/promises'

/** Asks a question on the terminal until the answer is yes or no; where there is no terminal, and at the end of input, it is no. */
export async function askYesNo(question: string, signal: AbortSignal): Promise<boolean> {
  if (!process.stdin.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const ended = new Promise<undefined>((resolve) => terminal.once('close', () => resolve(undefined)))
  try {
    for (;;) {
      const answer = await Promise.race([terminal.question(`${question} [y/n]: `, { signal }), ended])
      if (answer === undefined || /^n(o)?$/i.test(answer.trim())) return false
      if (/^y(es)?$/i.test(answer.trim())) return true
    }
  } finally {
    terminal.close()
  }
}
