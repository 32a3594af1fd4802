import { expect, test } from 'vitest'
import { startTestServer } from '../rig/server.ts'
import { walkthrough } from './walkthrough.ts'

test(
  'the walkthrough of 2019 runs from init to a pull in a clone, through the embedded server',
  { timeout: 120_000 },
  async () => {
    const server = await startTestServer()
    const lines: string[] = []
    try {
      const token = await server.token(['read', 'write'], ['demo'])
      await walkthrough({ remote: `${server.url}/dvc/demo`, token, images: 300, say: (line) => lines.push(line) })
      expect(lines.filter((line) => line.startsWith('$ cairn pull -T'))).toHaveLength(1)
    } finally {
      await server.stop()
    }
  },
)
