import { compareCodePoints } from '@cairn/protocol/tree'
import { PLOT_KEYS } from './pipeline-outs.ts'
import { folderOf, relativeTo } from './stage-path.ts'
import type { Out, Stage } from './stage.ts'
import type { YamlValue } from './yaml-text.ts'

/** A stage's definition in dvc.yaml, keys in the order they are written in; what has its default is left out. */
export function dumpDefinition(stage: Stage): Map<string, YamlValue> {
  const wdir = relativeTo(folderOf(stage.file), stage.wdir)
  return present([
    ['desc', stage.desc],
    ['cmd', typeof stage.cmd === 'string' ? escaped(stage.cmd) : stage.cmd?.map(escaped)],
    ['wdir', wdir === '.' ? undefined : escaped(wdir)],
    ['deps', stage.deps.length > 0 ? stage.deps.map(({ def }) => escaped(def)).toSorted(compareCodePoints) : undefined],
    ['params', dumpParams(stage)],
    ['outs', dumpOuts(stage.outs.filter((out) => !out.metric && !out.plot))],
    ['metrics', dumpOuts(stage.outs.filter((out) => out.metric))],
    ['plots', dumpOuts(stage.outs.filter((out) => out.plot))],
    ['frozen', stage.frozen || undefined],
    ['always_changed', stage.alwaysChanged || undefined],
    ...Object.entries(stage.extra ?? {}),
  ])
}

/** A literal `${` would be read as a template. */
const escaped = (text: string): string => text.replaceAll('${', '\\${')

function dumpParams({ params }: Stage): YamlValue | undefined {
  const own = params.filter(({ def, keys }) => def === 'params.yaml' && keys.length > 0).flatMap(({ keys }) => keys)
  const files = params
    .filter(({ def, keys }) => def !== 'params.yaml' || keys.length === 0)
    .toSorted((a, b) => compareCodePoints(a.def, b.def))
  const list: YamlValue[] = [
    ...own.toSorted(compareCodePoints),
    ...files.map(({ def, keys }) => new Map([[escaped(def), keys.length === 0 ? null : keys.toSorted(compareCodePoints)]])),
  ]
  return list.length > 0 ? list : undefined
}

function dumpOuts(outs: readonly Out[]): YamlValue | undefined {
  if (outs.length === 0) return undefined
  return outs
    .toSorted((a, b) => compareCodePoints(a.def, b.def))
    .map((out) => {
      const { type, labels, meta } = out.extra ?? {}
      const flags = present([
        ['desc', out.desc],
        ['type', type],
        ['labels', labels],
        ['meta', meta],
        ['cache', out.cache ? undefined : false],
        ['persist', out.persist || undefined],
        ...PLOT_KEYS.map((key) => [key, out.plot?.[key]] as const),
        ['remote', out.remote],
        ['push', out.push ? undefined : false],
      ])
      return flags.size === 0 ? escaped(out.def) : new Map([[escaped(out.def), flags]])
    })
}

const present = (entries: ReadonlyArray<readonly [string, unknown]>): Map<string, YamlValue> =>
  new Map(entries.filter(([, value]) => value !== undefined)) as Map<string, YamlValue>
