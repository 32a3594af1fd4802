// Vega and Vega-Lite as the pages of plots load them, to draw their specifications without a browser.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { CACHE, runProgram, say } from './service.mjs'

const PACKAGES = ['vega@5', 'vega-lite@5']

export function installVega() {
  const folder = path.join(CACHE, 'vega')
  const stamp = path.join(folder, 'installed.txt')
  const wanted = PACKAGES.join('\n')
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    say(`installing ${PACKAGES.join(', ')} …`)
    mkdirSync(folder, { recursive: true })
    writeFileSync(path.join(folder, 'package.json'), '{"private": true}\n')
    runProgram('npm', ['install', '--silent', '--no-audit', '--no-fund', '--prefix', folder, ...PACKAGES])
    writeFileSync(stamp, wanted)
  }
  return { CAIRN_TEST_VEGA: folder }
}
