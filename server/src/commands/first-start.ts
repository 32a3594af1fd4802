import fs from 'node:fs'
import path from 'node:path'
import { createToken } from '../domain/tokens.ts'
import type { Parts } from '../wire.ts'

/**
 * Makes the first project and the first token of a new server. undefined at any later start: of two servers that start
 * together on a new database, only the one that made the project goes on.
 */
export async function firstStart(parts: Parts): Promise<{ secret: string } | undefined> {
  const { stores, codec } = parts
  if (!(await stores.catalog.createProject('default'))) return undefined
  if ((await stores.catalog.listTokens()).length > 0) return undefined
  return createToken(
    stores,
    codec,
    { name: 'first administrator', projects: null, scopes: ['admin'], expiresIn: null },
    undefined,
  )
}

/** What a person needs next. The secret is printed here and kept nowhere. */
export function welcome(url: string, secret: string): string {
  const bin = binFolder()
  const remote = `${url}/dvc/default`
  return [
    '',
    `Cairn is ready at ${url}`,
    '',
    'The administrator token, shown this once:',
    '',
    `  ${secret}`,
    '',
    'Three lines to paste into another terminal push something real:',
    '',
    `  ${bin ? `export PATH="${bin}:$PATH"; ` : ''}cd "$(mktemp -d)" && git init -q && cairn init -q && CAIRN_TOKEN=${secret} cairn login ${url}`,
    `  cairn remote add -d origin ${remote} && seq 100000 > numbers.txt`,
    '  cairn add numbers.txt && cairn push',
    '',
  ].join('\n')
}

export function welcomeBack(url: string): string {
  return `\nCairn is ready at ${url}\nA new administrator token: npx cairn-server token create --name NAME --scopes admin\n`
}

/** Where `cairn` is, when this server runs from a clone of its repository. */
function binFolder(): string | undefined {
  const folder = path.resolve(import.meta.dirname, '../../node_modules/.bin')
  const beside = fs.existsSync(path.join(folder, 'cairn'))
    ? folder
    : path.resolve(import.meta.dirname, '../../../node_modules/.bin')
  return fs.existsSync(path.join(beside, 'cairn')) ? beside : undefined
}
