import { fork } from 'node:child_process'
import path from 'node:path'

/** What stands beside a subject in a process of its own, so that its time is not the bench's. */
export type ServiceOptions =
  { kind: 'plain-http'; dir: string } | { kind: 'delay'; target: string; latencyMs: number } | { kind: 'raw'; dir: string }

export interface Service {
  url: string
  pid: number
  stop(): Promise<void>
}

export async function startService(options: ServiceOptions): Promise<Service> {
  const child = fork(path.join(import.meta.dirname, 'service-main.ts'), [JSON.stringify(options)], { stdio: 'inherit' })
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    child.once('message', (message) => resolve(String(message)))
    child.once('exit', (code) => reject(new Error(`the ${options.kind} service ended with ${code}`)))
  })
  return {
    url,
    pid: child.pid ?? 0,
    stop() {
      child.kill('SIGTERM')
      return ended
    },
  }
}
