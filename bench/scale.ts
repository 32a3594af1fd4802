import type { World } from './world.ts'

export async function benchScale(_world: World): Promise<void> {
  await Promise.resolve()
}
