import { request } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'

/** Of nobody: made for these tests, for localhost, and trusted by whoever is told to. */
export const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUetBa4c3oIXo0Cn7t7oePxdeLr6cwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNTA5MTIwMloYDzIxMjYxMTAx
MDkxMjAyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQoTaOj9WWC6RjPoyQr1q4PrJz+ba1jItnvIhWmaF/NI/PW3nh8HpUb
uDw5frBotxyIvP6xQxveul5oLyDyKkoCo28wbTAdBgNVHQ4EFgQU+Vh51SYTW0WP
6cLWup9+qHW5o4owHwYDVR0jBBgwFoAU+Vh51SYTW0WP6cLWup9+qHW5o4owGgYD
VR0RBBMwEYIJbG9jYWxob3N0hwR/AAABMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI
zj0EAwIDSQAwRgIhALx1Dp3gI9SqilH7X2r1tu67RYmKbQgjgSPEV356Vr+8AiEA
vqG4BCX4EU7xg2U9YqKxfYgD/XROwln6iLzY0Jvf18Q=
-----END CERTIFICATE-----
`
const KEY = `-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIK6MUmE2JgpIMEh7+yb5AiGPLPn5iv9gaoodls6jFlnVoAoGCCqGSM49
AwEHoUQDQgAEKE2jo/VlgukYz6MkK9auD6yc/m2tYyLZ7yIVpmhfzSPz1t54fB6V
G7g8OX6waLcciLz+sUMb3rpeaC8g8ipKAg==
-----END EC PRIVATE KEY-----
`

/** Stands before a server and speaks TLS with its clients, as a reverse proxy does. */
export async function startTlsProxy(target: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const to = new URL(target)
  const server = createServer({ cert: CERTIFICATE, key: KEY, requestTimeout: 0 }, (incoming, answer) => {
    const { method, url, headers } = incoming
    const outgoing = request({ host: to.hostname, port: to.port, method, path: url, headers })
    outgoing.on('response', (response) => {
      answer.writeHead(response.statusCode ?? 502, response.statusMessage, response.headers)
      pipeline(response, answer).catch(() => undefined)
    })
    outgoing.on('error', () => answer.destroy())
    pipeline(incoming, outgoing).catch(() => undefined)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop: () => new Promise((resolve) => (server.closeAllConnections(), server.close(() => resolve()))),
  }
}
