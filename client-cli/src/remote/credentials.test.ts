import type { Env } from '../command.ts'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cairnCredentials, credentialsFile, dvcCredentials, readTokens, removeToken, storeToken } from './credentials.ts'

let home: string
let env: Env
const url = new URL('https://cairn.example.org/dvc/demo')

beforeEach(() => {
  home = mkdtempSync(path.join(os.tmpdir(), 'cairn-credentials-'))
  env = { XDG_CONFIG_HOME: home, HOME: home }
})
afterEach(() => rmSync(home, { recursive: true }))

const remote = (options: Record<string, string>) => ({ name: 'origin', url: url.href, options })

describe('a kept token', () => {
  test('is found by its origin only, in a file of its owner', () => {
    storeToken(env, url.origin, 'secret')
    expect(cairnCredentials(url, undefined, env)).toEqual({
      headers: { authorization: 'Bearer secret' },
      source: credentialsFile(env),
    })
    for (const other of ['http://cairn.example.org', 'https://cairn.example.org:8443', 'https://evil.example.org']) {
      expect(cairnCredentials(new URL(other), undefined, env).headers).toEqual({})
    }
    expect(statSync(credentialsFile(env)).mode & 0o777).toBe(0o600)
  })

  test('makes a file private that others could read', () => {
    storeToken(env, url.origin, 'secret')
    chmodSync(credentialsFile(env), 0o644)
    readTokens(env)
    expect(statSync(credentialsFile(env)).mode & 0o777).toBe(0o600)
  })

  test('is forgotten, and the others stay', () => {
    storeToken(env, url.origin, 'secret')
    storeToken(env, 'http://localhost:8787', 'other')
    expect(removeToken(env, url.origin)).toBe(true)
    expect(removeToken(env, url.origin)).toBe(false)
    expect(readTokens(env)).toEqual({ 'http://localhost:8787': 'other' })
    expect(readFileSync(credentialsFile(env), 'utf8')).not.toContain('secret')
  })

  test('a broken file is named without a word of its content', () => {
    storeToken(env, url.origin, 'secret')
    writeFileSync(credentialsFile(env), '{"https://cairn.example.org": "sec')
    expect(() => readTokens(env)).toThrow(/credentials\.json' is not valid$/)
  })
})

describe('for a Cairn server', () => {
  test('CAIRN_TOKEN comes before what was kept, and that before the options of dvc', () => {
    const dvc = remote({ auth: 'custom', custom_auth_header: 'Authorization', password: 'Bearer from-dvc' })
    expect(cairnCredentials(url, dvc, env).headers).toEqual({ authorization: 'Bearer from-dvc' })
    storeToken(env, url.origin, 'kept')
    expect(cairnCredentials(url, dvc, env).headers).toEqual({ authorization: 'Bearer kept' })
    expect(cairnCredentials(url, dvc, { ...env, CAIRN_TOKEN: 'given' }).headers).toEqual({ authorization: 'Bearer given' })
  })

  test('CAIRN_URL keeps CAIRN_TOKEN from other servers', () => {
    const bound = { ...env, CAIRN_TOKEN: 'given', CAIRN_URL: 'https://cairn.example.org' }
    expect(cairnCredentials(url, undefined, bound).headers).toEqual({ authorization: 'Bearer given' })
    expect(cairnCredentials(new URL('https://evil.example.org/dvc/demo'), undefined, bound).headers).toEqual({})
  })
})

describe('as stock dvc reads its options', () => {
  test('basic, custom, and a user in the url', () => {
    const basic = { authorization: `Basic ${Buffer.from('ada:secret').toString('base64')}` }
    expect(dvcCredentials(url, remote({ auth: 'basic', user: 'ada', password: 'secret' }), env).headers).toEqual(basic)
    expect(dvcCredentials(new URL('https://ada:secret@cairn.example.org'), remote({}), env).headers).toEqual(basic)
    expect(dvcCredentials(url, remote({ auth: 'custom', custom_auth_header: 'X-Key', password: 'k' }), env).headers).toEqual({
      'x-key': 'k',
    })
    expect(dvcCredentials(url, remote({ user: 'ada', password: 'secret' }), env).headers).toEqual({})
  })

  test("the user's netrc, where nothing else is said", () => {
    writeFileSync(path.join(home, '.netrc'), 'machine cairn.example.org login ada password secret\n')
    const basic = { authorization: `Basic ${Buffer.from('ada:secret').toString('base64')}` }
    expect(dvcCredentials(url, remote({}), env)).toEqual({ headers: basic, source: path.join(home, '.netrc') })
    expect(dvcCredentials(new URL('https://other.example.org'), remote({}), env).headers).toEqual({})
    expect(dvcCredentials(url, remote({ auth: 'custom', custom_auth_header: 'X-Key', password: 'k' }), env).headers).toEqual({
      'x-key': 'k',
    })
    expect(cairnCredentials(url, undefined, env).headers).toEqual(basic)
    expect(cairnCredentials(url, undefined, { ...env, CAIRN_TOKEN: 'given' }).headers).toEqual({ authorization: 'Bearer given' })
    writeFileSync(path.join(home, 'own'), 'default login g password h\n')
    expect(dvcCredentials(url, remote({}), { ...env, NETRC: path.join(home, 'own') }).headers).toEqual({
      authorization: `Basic ${Buffer.from('g:h').toString('base64')}`,
    })
  })

  test('half of what is needed is an error that says which', () => {
    expect(() => dvcCredentials(url, remote({ auth: 'basic', user: 'ada' }), env)).toThrow('auth = basic needs user and password')
    expect(() => dvcCredentials(url, remote({ auth: 'custom', password: 'x' }), env)).toThrow(
      'needs custom_auth_header and password',
    )
    expect(() => dvcCredentials(url, remote({ auth: 'digest' }), env)).toThrow('auth = digest is not supported')
  })
})
