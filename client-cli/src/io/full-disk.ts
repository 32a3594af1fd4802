import { CairnError, isCode } from '@cairn/protocol/error'

/** A full disk in words; any other failure as it is. */
export function explainFull(error: unknown, where: string): unknown {
  if (!isCode(error, 'ENOSPC', 'EDQUOT')) return error
  return new CairnError('STORAGE_FULL', `no space is left on the device of '${where}'`, {
    cause: error,
    hint: 'Nothing was lost: what was stored so far is kept. Free some space and run the command again.',
  })
}
