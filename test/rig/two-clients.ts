import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect } from 'vitest'
import { type Finished, run, type Workstation } from './project.ts'
import { realParts } from './real-parts.ts'

export type Client = 'cairn' | 'dvc'

/** Runs a command of either client, in the station's folder. */
export const use = (client: Client, station: Workstation, ...args: string[]): Promise<Finished> =>
  client === 'cairn' ? station.tryCairn(...args) : run(realParts().dvc, args, { cwd: station.dir, env: station.env })

/** The same, and it has to end with 0. */
export async function must(client: Client, station: Workstation, ...args: string[]): Promise<Finished> {
  const done = await use(client, station, ...args)
  expect(done, `${client} ${args.join(' ')}\n${done.stdout}\n${done.stderr}`).toHaveProperty('code', 0)
  return done
}

/** Text by path. */
export function writeFiles({ dir }: Workstation, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(dir, name)), { recursive: true })
    writeFileSync(path.join(dir, name), text)
  }
}
