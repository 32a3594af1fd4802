import { isCode } from '@cairn/protocol/error'
import { startGitChild } from './git-child.ts'

/** Asks Git which paths it ignores, many of them through one child. */
export interface IgnoredReader {
  /**
   * `file` is relative to Git's root. undefined when the child ended without an answer. What others change in ignore files
   * after the first question may be missed.
   */
  ask(file: string): Promise<boolean | undefined>
  close(): Promise<void>
}

/** Source, line, pattern and path. */
const PARTS = 4

/** One `git check-ignore --stdin`. */
export function openIgnoredReader(root: string): IgnoredReader {
  const args = ['check-ignore', '--no-index', '--verbose', '--non-matching', '-z', '--stdin']
  const child = startGitChild(root, args, answerParser)
  return {
    async ask(file) {
      try {
        return await child.ask(`${file}\0`)
      } catch (error) {
        if (isCode(error, 'FAILED')) return undefined
        throw error
      }
    },
    close: child.close,
  }
}

function answerParser(answer: (ignored: boolean) => void): (chunk: Buffer) => void {
  let pending = ''
  return (chunk) => {
    // Only its ASCII parts are looked at.
    const parts = (pending + chunk.toString('latin1')).split('\0')
    while (parts.length > PARTS) {
      const [source = '', , pattern = ''] = parts.splice(0, PARTS)
      answer(source !== '' && !pattern.startsWith('!'))
    }
    pending = parts.join('\0')
  }
}
