import path from 'node:path/posix'
import { CairnError } from '@cairn/protocol/error'
import type { Stage } from './stage.ts'

/**
 * The stages of a dvc.yaml whose names fit a shell's pattern: `train@*`, `sub/dvc.yaml:a?`, `sub:[ab]*`. `cwd` is root-relative.
 * @throws CairnError FAILED when none does: a mistyped pattern must not stand for everything
 */
export function matchStages(stages: readonly Stage[], pattern: string, cwd: string): Stage[] {
  const at = pattern.indexOf('@')
  const cut = pattern.lastIndexOf(':', at < 0 ? undefined : at)
  const place = cut < 0 ? 'dvc.yaml' : pattern.slice(0, cut)
  const file = path.join('/', cwd, path.basename(place).endsWith('.yaml') ? place : path.join(place, 'dvc.yaml')).slice(1)
  const fits = shellPattern(pattern.slice(cut + 1))
  const found = stages.filter((stage) => stage.file === file && stage.name !== undefined && fits.test(stage.name))
  if (found.length === 0) throw new CairnError('FAILED', `no stage in '${file}' matches '${pattern.slice(cut + 1)}'`)
  return found
}

/** `*` any text, `?` one character, `[a-c]` and `[!a-c]` one of a set; everything else is itself. */
export function shellPattern(pattern: string): RegExp {
  const source = pattern.replace(/\[(!?)(\]?[^\]]*)\]|[*?]|[^*?[]+|\[/gu, (part, negated: string | undefined, set?: string) => {
    if (set !== undefined && set !== '') return `[${negated ? '^' : ''}${set.replace(/[\\\]^[]/g, '\\$&')}]`
    if (part === '*') return '.*'
    if (part === '?') return '.'
    return part.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')
  })
  return new RegExp(`^(?:${source})$`, 'su')
}
