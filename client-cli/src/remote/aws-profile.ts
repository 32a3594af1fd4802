import { readFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { CairnError, isCode } from '@cairn/protocol/error'
import { capture } from '../io/spawn.ts'
import type { RemoteConfig } from '../repo/config.ts'
import type { Env } from '../command.ts'

export type AwsProfile = Readonly<Record<string, string | undefined>>

/**
 * The profile that the remote or AWS_PROFILE names, else `default`: its keys in the shared credentials file, then those in the config
 * file. Empty without such files. As in stock dvc, the environment's paths of the two win over the remote's.
 * @throws CairnError CONFIG for a named profile that is not there
 */
export function readProfile(options: RemoteConfig['options'], env: Env): AwsProfile {
  const home = env['HOME'] ?? os.homedir()
  const credentials = env['AWS_SHARED_CREDENTIALS_FILE'] ?? options['credentialpath'] ?? path.join(home, '.aws/credentials')
  const config = env['AWS_CONFIG_FILE'] ?? options['configpath'] ?? path.join(home, '.aws/config')
  const named = options['profile'] ?? env['AWS_PROFILE']
  const wanted = named ?? 'default'
  const found = [
    sections(config).get(wanted === 'default' ? wanted : `profile ${wanted}`),
    sections(config).get(`profile ${wanted}`),
    sections(credentials).get(wanted),
  ].filter((section) => section !== undefined)
  if (found.length === 0 && named !== undefined)
    throw new CairnError('CONFIG', `the profile '${wanted}' is neither in '${credentials}' nor in '${config}'`)
  return Object.assign({}, ...found) as AwsProfile
}

/** Settings within settings (`s3 =` and what is indented below it) are no keys of the section. */
function sections(file: string): Map<string, Record<string, string>> {
  const found = new Map<string, Record<string, string>>()
  let current: Record<string, string> = {}
  for (const line of readText(file).split(/\r?\n/)) {
    const section = /^\[\s*(.*?)\s*\]/.exec(line)?.[1]?.replace(/\s+/g, ' ')
    const pair = /^([A-Za-z_][\w-]*)\s*=\s*(.*?)\s*$/.exec(line)
    if (section !== undefined) found.set(section, (current = found.get(section) ?? {}))
    else if (pair?.[1] !== undefined) current[pair[1].toLowerCase()] = pair[2] ?? ''
  }
  return found
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return ''
    throw new CairnError('CONFIG', `cannot read '${file}'`, { cause: error })
  }
}

export interface AwsKeys {
  accessKey: string
  secretKey: string
  sessionToken: string | undefined
}

/** What the profile's own program answers. @throws CairnError CONFIG; what the program printed is never shown, it may be keys */
export async function askCredentialProcess(command: string): Promise<AwsKeys> {
  const { code, stdout } = await capture('/bin/sh', ['-c', command], { cwd: process.cwd() })
  if (code !== 0) throw new CairnError('CONFIG', `credential_process '${command}' exited with ${code}`)
  let said: Record<string, unknown>
  try {
    said = JSON.parse(stdout.toString()) as Record<string, unknown>
  } catch {
    throw new CairnError('CONFIG', `credential_process '${command}' printed no JSON`)
  }
  const { AccessKeyId: accessKey, SecretAccessKey: secretKey, SessionToken: token } = said
  if (typeof accessKey !== 'string' || typeof secretKey !== 'string')
    throw new CairnError('CONFIG', `credential_process '${command}' printed no AccessKeyId and SecretAccessKey`)
  return { accessKey, secretKey, sessionToken: typeof token === 'string' ? token : undefined }
}
