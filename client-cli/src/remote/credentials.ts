import { chmodSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { writeFileAtomic } from '../io/atomic-write.ts'
import { askPassword } from '../io/hidden-prompt.ts'
import type { Env } from '../command.ts'
import type { RemoteConfig } from '../repo/config.ts'
import { findNetrc, netrcFile } from './netrc.ts'

/** What a request presents, and where it was found, for messages. Never print the headers. */
export interface Credentials {
  headers: Readonly<Record<string, string>>
  /** `CAIRN_TOKEN`, `~/.config/cairn/credentials.json`, `remote 'origin'`; empty when there are none. */
  source: string
}

export const NO_CREDENTIALS: Credentials = { headers: {}, source: '' }

/**
 * For a Cairn server: CAIRN_TOKEN (with CAIRN_URL set: only for that origin), what `cairn login` kept, or what the remote's
 * options say for stock dvc.
 */
export const cairnCredentials = (url: URL, remote: RemoteConfig | undefined, env: Env): Credentials =>
  tokenFor(url, env) ?? dvcCredentials(url, remote ?? { name: url.origin, url: url.href, options: {} }, env)

/** CAIRN_TOKEN, or what was kept for the origin. */
export function tokenFor(url: URL, env: Env): Credentials | undefined {
  const fromEnv = env['CAIRN_TOKEN']?.trim()
  if (fromEnv && meantFor(url, env['CAIRN_URL'])) return bearer(fromEnv, 'CAIRN_TOKEN')
  const kept = readTokens(env)[url.origin]
  return kept === undefined ? undefined : bearer(kept, credentialsFile(env))
}

const bearer = (token: string, source: string): Credentials => ({
  headers: { authorization: /^(bearer|basic) /i.test(token) ? token : `Bearer ${token}` },
  source,
})

function meantFor(url: URL, server: string | undefined): boolean {
  if (!server) return true
  return URL.canParse(server) && new URL(server).origin === url.origin
}

/**
 * As stock dvc reads a remote's options: `auth = basic` with user and password, `auth = custom` with custom_auth_header and
 * password, a user in the url, or else what the user's netrc has for the host.
 * @throws CairnError CONFIG when one of them is missing
 */
export function dvcCredentials(url: URL, remote: RemoteConfig, env: Env): Credentials {
  const { auth, user, password, custom_auth_header: header } = remote.options
  const source = `remote '${remote.name}'`
  if (auth === 'custom') {
    if (!header || password === undefined) throw incomplete(remote, 'custom_auth_header and password')
    return { headers: { [header.toLowerCase()]: password }, source }
  }
  if (auth === 'basic') {
    if (user === undefined || password === undefined) throw incomplete(remote, 'user and password')
    return basic(user, password, source)
  }
  if (auth !== undefined)
    throw new CairnError('CONFIG', `remote '${remote.name}': auth = ${auth} is not supported; basic and custom are`)
  if (url.username !== '') return basic(decodeURIComponent(url.username), decodeURIComponent(url.password), source)
  const known = findNetrc(url.hostname.replace(/^\[|\]$/g, ''), env)
  return known ? basic(known.login, known.password, netrcFile(env)) : NO_CREDENTIALS
}

/** `ask_password`: the remote with a password that was asked for, once for a user of it. */
export async function withAskedPassword(remote: RemoteConfig): Promise<RemoteConfig> {
  const { auth, user = 'custom', password, ask_password: wanted = '' } = remote.options
  if (auth === undefined || password !== undefined || !/^true$/i.test(wanted)) return remote
  const key = `${remote.name}\0${user}`
  const asking = asked.get(key) ?? askPassword(`Enter a password for host '${remote.url}' user '${user}':\n`)
  asked.set(key, asking)
  return { ...remote, options: { ...remote.options, password: await asking } }
}

const asked = new Map<string, Promise<string>>()

const basic = (user: string, password: string, source: string): Credentials => ({
  headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
  source,
})

const incomplete = (remote: RemoteConfig, needed: string) =>
  new CairnError('CONFIG', `remote '${remote.name}': auth = ${remote.options['auth']} needs ${needed}`, {
    hint: `cairn remote modify --local ${remote.name} password …`,
  })

/** `$XDG_CONFIG_HOME/cairn/credentials.json`: origin to token. */
export function credentialsFile(env: Env): string {
  const home = env['HOME'] ?? os.homedir()
  const windows = process.platform === 'win32' ? env['APPDATA'] : undefined
  return path.join(env['XDG_CONFIG_HOME'] || windows || path.join(home, '.config'), 'cairn', 'credentials.json')
}

/** Of every origin that was logged in to. A file that others could read is made private. @throws CairnError CONFIG */
export function readTokens(env: Env): Readonly<Record<string, string>> {
  const file = credentialsFile(env)
  let text: string
  try {
    if (process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600)
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return {}
    throw error
  }
  const broken = (cause?: unknown) =>
    new CairnError('CONFIG', `'${file}' is not valid`, { hint: 'Delete it and log in again.', cause })
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    // The parser's message quotes the file, which holds secrets.
    throw broken()
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw broken()
  return Object.fromEntries(Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

export function storeToken(env: Env, origin: string, token: string): string {
  return writeTokens(env, { ...readTokens(env), [origin]: token })
}

/** False when there was none. */
export function removeToken(env: Env, origin: string): boolean {
  const { [origin]: removed, ...others } = readTokens(env)
  if (removed === undefined) return false
  writeTokens(env, others)
  return true
}

function writeTokens(env: Env, tokens: Readonly<Record<string, string>>): string {
  const file = credentialsFile(env)
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 })
  writeFileAtomic(file, `${JSON.stringify(tokens, undefined, 2)}\n`, { mode: 0o600 })
  return file
}
