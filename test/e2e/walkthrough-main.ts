import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { startFreshServer } from '../rig/fresh-server.ts'
import { walkthrough } from './walkthrough.ts'

const { values } = parseArgs({ options: { images: { type: 'string', default: '10000' } } })
const home = mkdtempSync(path.join(os.tmpdir(), 'cairn-walkthrough-'))
const server = await startFreshServer({ home })
try {
  const start = performance.now()
  await walkthrough({
    remote: `${server.url}/dvc/default`,
    token: server.adminToken,
    images: Number(values.images),
    say: (line) => console.log(line),
  })
  console.log(`\nThe walkthrough is complete: ${values.images} images, ${((performance.now() - start) / 1000).toFixed(1)} s.`)
} finally {
  await server.stop()
  rmSync(home, { recursive: true, force: true })
}
