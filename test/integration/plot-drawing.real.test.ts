import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createWorkstation, type Workstation } from '../rig/project.ts'
import { realParts } from '../rig/real-parts.ts'

/** The plots of `cairn plots show` are drawn by Vega itself: that a template is good JSON does not mean that it shows anything. */

interface Scene {
  marktype?: string
  role?: string
  items?: Scene[]
  x?: number
  y?: number
  width?: number
  height?: number
  opacity?: number
}

interface Vega {
  parse(spec: unknown): unknown
  View: new (runtime: unknown, options: object) => { runAsync(): Promise<{ scenegraph(): { root: Scene } }>; finalize(): void }
}

interface VegaLite {
  compile(spec: unknown, options: object): { spec: unknown }
}

let vega: Vega
let vegaLite: VegaLite
let station: Workstation

beforeAll(async () => {
  const from = createRequire(path.join(realParts().vega, 'package.json'))
  const load = async (name: string): Promise<unknown> => import(pathToFileURL(from.resolve(name)).href)
  vega = (await load('vega')) as Vega
  vegaLite = (await load('vega-lite')) as VegaLite
  station = createWorkstation()
  station.git('init', '-q')
  await station.cairn('init', '-q')
  const rows = [0.9, 0.5, 0.7, 0.3, 0.2].map((loss, step) => `${step},${loss},${loss}`)
  writeFileSync(path.join(station.dir, 'curve.csv'), ['step,loss,val.loss[0]', ...rows].join('\n'))
  writeFileSync(path.join(station.dir, 'classes.csv'), 'actual,predicted\ncat,cat\ncat,dog\ndog,dog\ndog,dog\n')
})
afterAll(() => station.remove())

/** The marks that Vega draws of the values, by kind. An error of Vega fails the test. */
async function marksOf(spec: unknown): Promise<Map<string, Scene[]>> {
  const complain = (...words: unknown[]) => {
    throw new Error(words.map(String).join(' '))
  }
  const logger = { level: () => logger, info: () => logger, debug: () => logger, warn: () => logger, error: complain }
  const view = new vega.View(vega.parse(vegaLite.compile(spec, { logger }).spec), { renderer: 'none', logger })
  const { root } = (await view.runAsync()).scenegraph()
  const marks = new Map<string, Scene[]>()
  const walk = (scene: Scene): void => {
    if (scene.role === 'mark' && scene.marktype !== undefined && scene.marktype !== 'group')
      marks.set(scene.marktype, [...(marks.get(scene.marktype) ?? []), ...(scene.items ?? [])])
    for (const each of scene.items ?? []) walk(each)
  }
  walk(root)
  view.finalize()
  return marks
}

async function specOf(...args: string[]): Promise<unknown> {
  const { stdout } = await station.cairn('plots', 'show', ...args, '--show-vega')
  return JSON.parse(stdout)
}

const places = (items: readonly Scene[]): number => new Set(items.map(({ x, y }) => `${x} ${y}`)).size

describe('a template draws every point where it belongs', () => {
  test.each([
    ['linear', 'line'],
    ['simple', 'line'],
    ['smooth', 'line'],
    ['scatter', 'symbol'],
    ['scatter_jitter', 'symbol'],
  ])('%s', async (template, kind) => {
    const marks = await marksOf(await specOf('curve.csv', '-t', template, '-x', 'step', '-y', 'loss'))
    const items = marks.get(kind) ?? []
    expect(items.every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))).toBe(true)
    expect(places(items)).toBeGreaterThanOrEqual(5)
  })

  test.each(['bar_horizontal', 'bar_horizontal_sorted'])('%s', async (template) => {
    const marks = await marksOf(await specOf('curve.csv', '-t', template, '-x', 'loss', '-y', 'step'))
    const bars = marks.get('rect') ?? []
    expect(bars.length).toBe(5)
    expect(bars.every(({ width = 0 }) => width > 0)).toBe(true)
  })

  test.each(['confusion', 'confusion_normalized'])('%s', async (template) => {
    const marks = await marksOf(await specOf('classes.csv', '-t', template, '-x', 'predicted', '-y', 'actual'))
    expect(places(marks.get('rect') ?? [])).toBe(4)
    expect(places(marks.get('text') ?? [])).toBeGreaterThanOrEqual(3)
  })
})

test('a field whose name has dots and brackets is drawn as any other', async () => {
  const marks = await marksOf(await specOf('curve.csv', '-t', 'simple', '-x', 'step', '-y', 'val.loss[0]'))
  expect(places(marks.get('line') ?? [])).toBe(5)
})
