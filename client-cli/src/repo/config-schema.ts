import { CairnError } from '@cairn/protocol/error'
import type { ConfigFile } from './config-file.ts'

/** What an option's value may be. `any`: every text. */
type Kind = 'any' | 'bool' | 'int' | 'links' | readonly string[]

const COMMON_REMOTE = kinds('url', {
  jobs: 'int',
  checksum_jobs: 'int',
  worktree: 'bool',
  version_aware: 'bool',
  no_traverse: 'bool',
  verify: 'bool',
})
const HTTP = kinds('custom_auth_header user password ssl_verify connect_timeout read_timeout', {
  auth: ['basic', 'digest', 'custom'],
  ask_password: 'bool',
  method: 'any',
})
const WEBDAV = kinds('user password token bearer_token_command custom_auth_header cert_path key_path timeout ssl_verify', {
  ask_password: 'bool',
})
const LOCAL = kinds('', { type: 'links', shared: ['group'], slow_link_warning: 'bool', protected: 'bool', dir: 'any' })
const S3 = kinds(
  'region profile credentialpath configpath endpointurl access_key_id secret_access_key session_token ssl_verify sse sse_kms_key_id ' +
    'sse_customer_algorithm sse_customer_key acl grant_read grant_read_acp grant_write_acp grant_full_control',
  {
    use_ssl: 'bool',
    cache_regions: 'bool',
    read_timeout: 'int',
    connect_timeout: 'int',
    allow_anonymous_login: 'bool',
    listobjects: 'bool',
  },
)
const SSH = kinds('user password passphrase keyfile', {
  port: 'int',
  ask_password: 'bool',
  ask_passphrase: 'bool',
  timeout: 'int',
  gss_auth: 'bool',
  allow_agent: 'bool',
  max_sessions: 'int',
  type: 'links',
})

/** By scheme; `undefined`: every option is taken, Cairn has no opinion on these. */
const REMOTES: Readonly<Record<string, Readonly<Record<string, Kind>> | undefined>> = {
  '': LOCAL,
  file: LOCAL,
  http: HTTP,
  https: HTTP,
  webdav: WEBDAV,
  webdavs: WEBDAV,
  s3: S3,
  ssh: SSH,
  gs: kinds('projectname credentialpath endpointurl', { allow_anonymous_login: 'bool' }),
  hdfs: undefined,
  webhdfs: undefined,
  azure: undefined,
  oss: undefined,
  gdrive: undefined,
  remote: undefined,
}

const SECTIONS: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  core: kinds('remote site_cache_dir machine', {
    autostage: 'bool',
    no_scm: 'bool',
    analytics: 'bool',
    check_update: 'bool',
    hardlink_lock: 'bool',
    interactive: 'bool',
    experiments: 'bool',
    checksum_jobs: 'int',
  }),
  cache: kinds('dir local s3 gs hdfs webhdfs ssh azure', {
    type: 'links',
    shared: ['group'],
    slow_link_warning: 'bool',
    verify: 'bool',
    protected: 'bool',
  }),
  exp: kinds('git_remote', { auto_push: 'bool' }),
  plots: kinds('html_template out_dir', { auto_open: 'bool' }),
  parsing: kinds('', { bool: ['store_true', 'boolean_optional'], list: ['nargs', 'append'] }),
  hydra: kinds('config_dir config_module config_name plugins_path', { enabled: 'bool' }),
  studio: kinds('token url repo_url', { offline: 'bool' }),
  state: kinds('dir row_limit row_cleanup_quota', {}),
  index: kinds('dir', {}),
}

const PATH_OPTIONS = new Set([
  'url',
  'credentialpath',
  'configpath',
  'keyfile',
  'cert_path',
  'key_path',
  'gdrive_user_credentials_file',
  'gdrive_service_account_json_file_path',
])

/** Options that hold a password or key: they belong into a file that Git does not see. */
const SECRETS = new Set([
  'password',
  'token',
  'secret_access_key',
  'session_token',
  'sse_customer_key',
  'passphrase',
  'account_key',
  'sas_token',
  'connection_string',
])

function kinds(names: string, others: Record<string, Kind>): Record<string, Kind> {
  return { ...Object.fromEntries(names.split(' ').flatMap((name) => (name === '' ? [] : [[name, 'any' as const]]))), ...others }
}

export function isPathOption(section: string, key: string): boolean {
  return section.startsWith('remote "') ? PATH_OPTIONS.has(key) : section === 'cache' && key === 'dir'
}

export function isSecretOption(key: string): boolean {
  return SECRETS.has(key)
}

/**
 * Checks an option before it is written: what dvc would refuse to read must not get into a shared file. `url` is the
 * remote's url as merged, for a remote's option. @throws CairnError CONFIG in dvc's words
 */
export function checkOption(section: string, key: string, value: string, url?: string): void {
  const remote = /^remote "(.*)"$/.exec(section)?.[1]
  const where = remote === undefined ? `data['${section}']` : `data['remote']['${remote}']`
  const options = remote === undefined ? sectionOptions(section) : remoteOptions(key === 'url' ? value : (url ?? ''), where)
  if (options === undefined) return
  const kind = Object.hasOwn(options, key) ? options[key] : undefined
  if (kind === undefined) throw refused(`extra keys not allowed @ ${where}['${key}']`)
  checkKind(kind, value, `${where}['${key}']`)
}

function sectionOptions(section: string): Readonly<Record<string, Kind>> | undefined {
  if (section === 'feature' || /^(machine|db) "/.test(section)) return undefined
  if (!Object.hasOwn(SECTIONS, section)) throw refused(`extra keys not allowed @ data['${section}']`)
  return SECTIONS[section]
}

/** In small letters; undefined for a path of this machine. */
export const schemeOf = (url: string): string | undefined => /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase()

function remoteOptions(url: string, where: string): Readonly<Record<string, Kind>> | undefined {
  const scheme = schemeOf(url) ?? ''
  if (!Object.hasOwn(REMOTES, scheme)) throw refused(`Unsupported URL type ${scheme}:// for dictionary value @ ${where}`)
  const own = REMOTES[scheme]
  return own && { ...COMMON_REMOTE, ...own }
}

function checkKind(kind: Kind, value: string, where: string): void {
  if (kind === 'any') return
  if (kind === 'bool') {
    if (!/^(true|false)$/i.test(value)) throw refused(`expected true or false for dictionary value @ ${where}`)
  } else if (kind === 'int') {
    if (!/^\d+$/.test(value)) throw refused(`expected int for dictionary value @ ${where}`)
  } else if (kind === 'links') {
    const bad = value
      .split(',')
      .map((type) => type.trim())
      .filter((type) => !['reflink', 'hardlink', 'symlink', 'copy'].includes(type))
    if (bad.length > 0) throw refused(`Unsupported cache type(s): ${bad.join(', ')} for dictionary value @ ${where}`)
  } else if (!kind.includes(value)) {
    throw refused(`value is not allowed (${kind.join(', ')}) for dictionary value @ ${where}`)
  }
}

function refused(what: string): CairnError {
  return new CairnError('CONFIG', `config file error: ${what}`)
}

/** What dvc would refuse in files that exist. Cairn reads them all the same: a newer dvc's option must lock nobody out. */
export function configProblems(levels: ReadonlyArray<{ path: string; file: ConfigFile }>): string[] {
  const urls = new Map<string, string>()
  for (const { file } of levels) {
    for (const { name, options } of file.sections.values()) {
      const url = options.get('url')?.value
      if (url !== undefined) urls.set(name, String(url))
    }
  }
  return levels.flatMap(({ path, file }) =>
    [...file.sections.values()].flatMap((section) =>
      [...section.options].flatMap(([key, { value }]) => {
        try {
          checkOption(section.name, key, String(value), urls.get(section.name))
          return []
        } catch (error) {
          if (error instanceof CairnError) return [`${path}: ${error.message.replace(/^config file error: /, '')}`]
          throw error
        }
      }),
    ),
  )
}
