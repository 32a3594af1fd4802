import { CairnError, isCode } from '@cairn/protocol/error'

/** The place is full or may not be written to: nothing is lost where only what saves time was to be kept there. */
export const isUnwritable = (error: unknown): boolean =>
  isCode(error, 'STORAGE_FULL', 'ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM')

/** A full disk in words; any other failure as it is. */
export function explainFull(error: unknown, where: string): unknown {
  if (!isCode(error, 'ENOSPC', 'EDQUOT')) return error
  return new CairnError('STORAGE_FULL', `no space is left on the device of '${where}'`, {
    cause: error,
    hint: 'Nothing was lost: what was stored so far is kept. Free some space and run the command again.',
  })
}
