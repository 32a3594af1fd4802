import { readFileSync } from 'node:fs'

declare const CAIRN_VERSION: string | undefined

/** The bundle carries it; from the source tree it is the root package's. */
export function cairnVersion(): string {
  if (typeof CAIRN_VERSION === 'string') return CAIRN_VERSION
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : 'unknown'
}
