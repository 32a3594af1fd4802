import { CairnError } from '@cairn/protocol/error'
import type { GitWriter } from '../repo/git-writer.ts'
import { type ExperimentRef, parseRef } from './refs.ts'

/** The experiments of a Git remote, given by its name or url. @throws CairnError FAILED */
export async function remoteExperiments({ ask }: GitWriter, remote: string): Promise<ExperimentRef[]> {
  refuseOption(remote)
  const lines = await ask(['ls-remote', '--refs', remote, 'refs/exps/*'])
  return lines.flatMap((line) => {
    const [sha = '', ref = ''] = line.split('\t')
    return parseRef(ref, sha) ?? []
  })
}

/** Sends refs; what differs there is only replaced with `force`. @throws CairnError FAILED */
export async function pushRefs(
  { ask }: GitWriter,
  remote: string,
  refs: readonly ExperimentRef[],
  force: boolean,
): Promise<void> {
  refuseOption(remote)
  if (refs.length > 0)
    await ask(['push', '--quiet', '--no-verify', remote, ...refs.map(({ ref }) => `${force ? '+' : ''}${ref}:${ref}`)])
}

/** The other way round. @throws CairnError FAILED */
export async function fetchRefs(
  { ask }: GitWriter,
  remote: string,
  refs: readonly ExperimentRef[],
  force: boolean,
): Promise<void> {
  refuseOption(remote)
  if (refs.length > 0)
    await ask(['fetch', '--quiet', '--no-tags', remote, ...refs.map(({ ref }) => `${force ? '+' : ''}${ref}:${ref}`)])
}

/** Deletes refs there. @throws CairnError FAILED */
export async function removeRemoteRefs({ ask }: GitWriter, remote: string, refs: readonly ExperimentRef[]): Promise<void> {
  refuseOption(remote)
  if (refs.length > 0) await ask(['push', '--quiet', '--no-verify', remote, ...refs.map(({ ref }) => `:${ref}`)])
}

function refuseOption(remote: string): void {
  if (remote.startsWith('-')) throw new CairnError('FAILED', `'${remote}' is not a valid Git remote or URL`)
}
