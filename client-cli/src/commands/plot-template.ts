import { readFileSync } from 'node:fs'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import type { Context } from '../command.ts'
import { parseJson } from '../pipeline/json-value.ts'
import type { Template } from '../pipeline/vega-template.ts'
import { TEMPLATES } from '../pipeline/vega-templates.ts'
import type { Repo } from '../repo/repo.ts'

/**
 * A template by its name or its file: one of .dvc/plots wins over a file of the person's folder, both over the built-in ones.
 * undefined is `linear`.
 * @throws CairnError FAILED when there is none, or it is no JSON
 */
export function findTemplate(repo: Repo, { cwd }: Pick<Context, 'cwd'>, template: unknown): Template {
  const name = typeof template === 'string' ? template : 'linear'
  const folder = path.join(repo.dvcDir, 'plots')
  for (const file of [path.join(folder, name), path.join(folder, `${name}.json`), path.resolve(cwd, name)]) {
    const text = readIfFile(file)
    if (text !== undefined) return parsed(text, file)
  }
  const builtIn = TEMPLATES.get(name)
  if (builtIn === undefined)
    throw new CairnError('FAILED', `Template '${name}' not found.`, { hint: `built in are ${[...TEMPLATES.keys()].join(', ')}` })
  return builtIn
}

function parsed(text: string, file: string): Template {
  try {
    return parseJson(text)
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new CairnError('FAILED', `the template '${file}' is ${cause.message}`, { cause })
  }
}

function readIfFile(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG')) return undefined
    throw error
  }
}
