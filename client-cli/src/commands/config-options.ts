import path from 'node:path'
import { CairnError } from '@cairn/protocol/error'
import type { Context, OptionSpec } from '../command.ts'
import type { ConfigEditor } from '../repo/config-edit.ts'
import { setOption, unsetOption } from '../repo/config-file.ts'
import { checkOption, isSecretOption } from '../repo/config-schema.ts'
import { homeOf, remoteSection, resolveValue, storedValue, type ConfigLevel, type Level } from '../repo/config.ts'

export const LEVEL_OPTIONS: readonly OptionSpec[] = [
  { flags: '--system', summary: "The machine's configuration." },
  { flags: '--global', summary: "The user's configuration." },
  { flags: '--project', summary: "The repository's .dvc/config: where writes go by default." },
  { flags: '--local', summary: 'Your own .dvc/config.local, which Git ignores.' },
]

/** As in the files: section `core` or `remote "name"`. Lower-case. */
export interface OptionName {
  section: string
  key: string
}

/** `core.remote`, `remote.NAME.url`. @throws CairnError USAGE */
export function parseOptionName(text: string): OptionName {
  const grouped = /^(remote|machine|db)\.(.+)\.([^.]+)$/.exec(text.toLowerCase())
  if (grouped) return { section: `${grouped[1]} "${grouped[2]}"`, key: grouped[3] ?? '' }
  const plain = /^([^.]+)\.([^.]+)$/.exec(text.toLowerCase())
  if (plain) return { section: plain[1] ?? '', key: plain[2] ?? '' }
  throw new CairnError(
    'USAGE',
    'argument name: name argument should look like remote.name.option or db.name.option or section.option',
  )
}

/** Writes one option, as dvc would read it. @throws CairnError CONFIG, the file untouched, for what dvc would refuse */
export function writeOption(editor: ConfigEditor, level: Level, name: OptionName, value: string, context: Context): void {
  const dir = path.dirname(editor.level(level).path)
  const url = editor.merged.get(name.section, 'url')
  if (isRemote(name.section) && name.key !== 'url' && url === undefined) throw missingUrl(name.section)
  checkOption(name.section, name.key, value, url)
  if (isRemote(name.section) && name.key === 'url') checkOtherOptions(editor.levels, name.section, value)
  const secret = isSecretOption(name.key)
  editor.edit(
    level,
    (file) => setOption(file, name.section, name.key, storedValue(name.section, name.key, value, dir, context.cwd)),
    { secret },
  )
  if (secret && level === 'project') {
    context.report({
      type: 'warning',
      text: `'${name.key}' now stands in .dvc/config, which Git shares. --local keeps it on this machine.`,
    })
  }
}

/** What a remote has beside its url must suit a new url's kind, or dvc would refuse the whole file. @throws CairnError CONFIG */
export function checkOtherOptions(levels: readonly ConfigLevel[], section: string, url: string): void {
  for (const level of levels) {
    for (const [key, { value }] of level.file.sections.get(section)?.options ?? []) {
      if (key !== 'url') checkOption(section, key, String(value), url)
    }
  }
}

/** @throws CairnError CONFIG when the level has no such option */
export function removeOption(editor: ConfigEditor, level: Level, { section, key }: OptionName): void {
  const found = editor.level(level).file.sections.get(section)
  if (found === undefined) throw new CairnError('CONFIG', `config file error: section '${section}' doesn't exist`)
  if (!found.options.has(key)) throw missingOption(section, key)
  editor.edit(level, (file) => unsetOption(file, section, key))
}

export function missingOption(section: string, key: string): CairnError {
  return new CairnError('CONFIG', `config file error: option '${key}' doesn't exist in section '${section}'`)
}

/** One level's value as it is used; undefined when unset there. */
export function valueAt(level: ConfigLevel, { section, key }: OptionName, env: Context['env']): string | undefined {
  const option = level.file.sections.get(section)?.options.get(key)
  return option && resolveValue(section, key, option.value, path.dirname(level.path), homeOf(env))
}

/** The remotes that a level writes about, with the url as it is used where the level has one. */
export function remotesAt(level: ConfigLevel, env: Context['env']): Array<{ name: string; url: string | undefined }> {
  return [...level.file.sections.keys()].flatMap((section) => {
    const name = /^remote "(.*)"$/.exec(section)?.[1]
    return name === undefined ? [] : [{ name, url: valueAt(level, { section, key: 'url' }, env) }]
  })
}

export function hasRemote(editor: ConfigEditor, name: string): boolean {
  return editor.levels.some((level) => level.file.sections.has(remoteSection(name)))
}

export function unknownRemote(name: string, hint?: string): CairnError {
  return new CairnError('CONFIG', `config file error: remote '${name}' doesn't exist.`, hint === undefined ? {} : { hint })
}

function isRemote(section: string): boolean {
  return section.startsWith('remote "')
}

function missingUrl(section: string): CairnError {
  return new CairnError(
    'CONFIG',
    `config file error: expected 'url' for dictionary value @ data['remote']['${section.slice(8, -1)}']`,
  )
}
