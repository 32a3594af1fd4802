import { readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { isCode } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { type ExpSession, withExperiments } from './exp-session.ts'

export const command: Command = {
  name: 'exp clean',
  summary: 'Take away what interrupted runs of experiments left in .dvc/tmp.',
  description: 'Experiments and queued experiments stay.',
  examples: ['cairn exp clean'],
  run: (context) =>
    withExperiments(context, 'clean', async (session) => {
      context.report({ type: 'result', text: 'Cleaning up dvc-task messages...' })
      await removeCopies(session)
      context.report({ type: 'result', text: 'Done!' })
    }),
}

/** Copies of the repository whose process has died. */
async function removeCopies({ repo, writer }: ExpSession): Promise<void> {
  const folder = path.join(repo.tmpDir, 'exps')
  for (const name of listFolder(folder)) {
    const pid = Number(/^cairn-(\d+)-\d+$/.exec(name)?.[1])
    if (pid > 0 && pid !== process.pid && !isAlive(pid)) rmSync(path.join(folder, name), { recursive: true, force: true })
  }
  await writer.ask(['worktree', 'prune'])
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (isCode(error, 'ENOENT')) return []
    throw error
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}
