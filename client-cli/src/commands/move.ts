import { cpSync, existsSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { Command } from '../command.ts'
import { editFile } from '../pipeline/edit-file.ts'
import { type Move, planMove } from '../pipeline/plan-move.ts'
import { serializeStageFile } from '../pipeline/stage-file.ts'
import { readIfThere } from '../repo/ignore.ts'
import { addToGitIgnore, removeFromGitIgnore } from '../repo/git-ignore.ts'
import type { Repo } from '../repo/repo.ts'
import { withRepoLock } from '../repo/repo-lock.ts'
import { type Session, withSession } from './session.ts'
import { hintToTrack } from './track-hint.ts'

export const command: Command = {
  name: 'move',
  summary: 'Rename tracked data, with its .dvc file and .gitignore entry.',
  description: 'Only what was added or imported can be moved, not what a stage makes. Nothing is overwritten.',
  arguments: [
    { name: '<src>', summary: 'A tracked file or folder.' },
    { name: '<dst>', summary: 'Its new name, or the folder to move it into.' },
  ],
  examples: ['cairn move data/raw.csv data/raw-2020.csv', 'cairn move model.h5 archive/'],
  run: (context, [src = '', dst = ''], _options) =>
    withSession(context, ['cairn', 'move', src, dst].join(' '), async (session) => {
      await inMoveWords(src, dst, () =>
        withRepoLock(session.repo, session.signal, async () => {
          const stages = await session.load()
          carryOut(session, planMove(session.repo, stages, { cwd: session.cwd, src, dst }))
        }),
      )
      hintToTrack(session.repo, session.touched, context)
    }),
}

/** The data goes first: when the rest fails it goes back. */
function carryOut({ repo, workspace, touched }: Session, { from, to, stage, oldFile }: Move): void {
  const [source, target] = [path.join(repo.root, from), path.join(repo.root, to)]
  const text = serializeStageFile(stage, readIfThere(path.join(repo.root, oldFile)))
  const ignored = addToGitIgnore(repo, to)
  try {
    relocate(source, target)
    try {
      for (const file of editFile(repo, stage.file, () => text)) touched.add(file)
    } catch (error) {
      relocate(target, source)
      throw error
    }
  } catch (error) {
    if (ignored !== undefined) removeFromGitIgnore(repo, to)
    throw error
  }
  const wasTracked = stage.file !== oldFile && isTracked(repo, oldFile)
  if (stage.file !== oldFile) rmSync(path.join(repo.root, oldFile), { force: true })
  if (wasTracked) touched.add(oldFile)
  if (ignored !== undefined) touched.add(ignored)
  const cleared = removeFromGitIgnore(repo, from)
  if (cleared !== undefined && (existsSync(path.join(repo.root, cleared)) || isTracked(repo, cleared))) touched.add(cleared)
  workspace.forget(from)
}

/** Git can be told of a file that went only when it knew it. */
const isTracked = (repo: Repo, file: string): boolean => repo.git?.isTracked(path.join(repo.root, file)) === true

function relocate(source: string, target: string): void {
  try {
    renameSync(source, target)
  } catch (error) {
    if (!isCode(error, 'EXDEV')) throw error
    cpSync(source, target, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true })
    rmSync(source, { recursive: true })
  }
}

async function inMoveWords<T>(src: string, dst: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof CairnError) || error.code !== 'COMMAND_FAILED') throw error
    const details = { cause: error, ...(error.hint !== undefined && { hint: error.hint }) }
    throw new CairnError('COMMAND_FAILED', `failed to move '${src}' -> '${dst}' - ${error.message}`, details)
  }
}
