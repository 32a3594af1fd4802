import { inspect } from 'node:util'
import { CairnError, isCode } from '@cairn/protocol/error'

export interface Failure {
  text: string
  code: number
}

/** The words and the exit code of what a command threw. `interrupted`: the signal's reason, when there was one. */
export function describeFailure(error: unknown, options: { verbose: boolean; interrupted?: unknown }): Failure {
  const told = options.interrupted instanceof CairnError ? options.interrupted : error
  const { text, code } = told instanceof CairnError ? ofCairn(told) : isSystemFailure(told) ? ofSystem(told) : ofBug(told)
  return { text: options.verbose ? `${text}\n${inspect(error)}` : text, code }
}

function ofCairn(error: CairnError): Failure {
  // dvc's prefix, where a command did not put its own in front.
  const prefix = error.code === 'CONFIG' && error.message.startsWith('config file error') ? 'configuration error - ' : ''
  const hint = error.hint === undefined ? '' : `\n${error.hint}`
  return { text: `ERROR: ${prefix}${error.message}${hint}`, code: error.exit }
}

/** What the machine refuses is no bug: no space, no right, no more files. */
function isSystemFailure(error: unknown): error is Error {
  return isCode(
    error,
    'ENOSPC',
    'EDQUOT',
    'EROFS',
    'EACCES',
    'EPERM',
    'EMFILE',
    'ENFILE',
    'EIO',
    'ENOMEM',
    'EFBIG',
    'ENAMETOOLONG',
    'ENOTDIR',
    'EISDIR',
    'ELOOP',
    'EBUSY',
  )
}

function ofSystem(error: Error): Failure {
  if (isCode(error, 'ENOSPC', 'EDQUOT'))
    return { text: 'ERROR: no space is left on the device\nFree some space and run the command again.', code: 255 }
  return { text: `ERROR: ${error.message}`, code: 255 }
}

function ofBug(error: unknown): Failure {
  const words = error instanceof Error ? error.message : String(error)
  return { text: `ERROR: unexpected error - ${words}\n\nThis is a bug in Cairn. With -v it prints where it happened.`, code: 255 }
}
