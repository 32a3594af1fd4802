import { createInterface } from 'node:readline'
import { CairnError } from '@cairn/protocol/error'

const ENTER = new Set(['\r', '\n', '\u0004'])
const BACKSPACE = new Set(['\u007f', '\b'])

/** Asks on the terminal, and without one takes the first line of standard input, as stock dvc does. */
export async function askPassword(question: string): Promise<string> {
  if (process.stdin.isTTY) return askHidden(question)
  const terminal = createInterface({ input: process.stdin })
  try {
    for await (const line of terminal) return line
    throw new CairnError('CONFIG', 'no password: standard input is empty and there is no terminal to ask')
  } finally {
    terminal.close()
  }
}

/** Asks on the terminal, without showing what is typed. @throws CairnError USAGE where there is no terminal, CANCELLED on Ctrl-C */
export async function askHidden(question: string): Promise<string> {
  const { stdin, stderr } = process
  if (!stdin.isTTY)
    throw new CairnError('USAGE', 'there is no terminal to ask for a token', { hint: 'Use --token-stdin, or set CAIRN_TOKEN.' })
  stderr.write(question)
  stdin.setRawMode(true)
  stdin.setEncoding('utf8')
  let typed = ''
  try {
    for await (const text of stdin as AsyncIterable<string>) {
      for (const key of text) {
        if (key === '\u0003') throw new CairnError('CANCELLED', 'interrupted by the user')
        if (ENTER.has(key)) return typed
        if (BACKSPACE.has(key)) typed = typed.slice(0, -1)
        else typed += key
      }
    }
    return typed
  } finally {
    stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
  }
}

/** Standard input to its end, trimmed. A longer one than `limit` characters is refused. @throws CairnError USAGE */
export async function readStandardInput(limit: number): Promise<string> {
  let text = ''
  for await (const chunk of process.stdin.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk
    if (text.length > limit) throw new CairnError('USAGE', `more than ${limit} characters on standard input`)
  }
  return text.trim()
}
