import { startServerProcess, type ServerProcess } from './server.ts'

/** A server as a program of its own, started for the first time, with the administrator's token that this start printed. */
export async function startFreshServer(options: {
  home: string
  env?: Record<string, string>
}): Promise<ServerProcess & { adminToken: string }> {
  const server = await startServerProcess(options)
  const { adminToken } = server
  if (!adminToken) {
    await server.stop()
    throw new Error(`the first start printed no token:\n${server.output()}`)
  }
  return { ...server, adminToken }
}
