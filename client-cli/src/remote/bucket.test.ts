import { expect, test } from 'vitest'
import { followable } from './bucket.ts'

test.each([
  ['http://127.0.0.1:8787/dvc/p', 'http://127.0.0.1:9000/bucket/key', true],
  ['http://localhost:8787', 'http://bucket:9000/key', true],
  ['http://cairn:8787', 'http://bucket:9000/key', true],
  ['http://10.0.0.5:8787', 'http://10.0.0.6:9000/key', true],
  ['https://cairn.example.org', 'https://s3.example.org/key', true],
  ['http://cairn.example.org', 'https://s3.example.org/key', true],
])('a server at %s may send us to %s', (server, url) => {
  expect(followable(url, new URL(server))?.href).toBe(url)
})

test.each([
  ['this machine', 'https://cairn.example.org', 'https://127.0.0.1:9000/key'],
  ['this machine by its name', 'http://cairn.example.org', 'http://localhost:9000/key'],
  ['this machine by its sixth version', 'http://cairn.example.org', 'http://[::1]:9000/key'],
  ['a name that only this network knows', 'http://cairn.example.org', 'http://bucket:9000/key'],
  ['an address of the link', 'http://cairn.example.org', 'http://169.254.169.254/latest'],
  ['this machine, out of the next one', 'http://cairn:8787', 'http://127.0.0.1:9000/key'],
  ['a line in the clear, out of an encrypted one', 'https://cairn.example.org', 'http://s3.example.org/key'],
  ['a file', 'http://127.0.0.1:8787', 'file:///etc/passwd'],
  ['somebody with a name', 'http://127.0.0.1:8787', 'http://user:secret@127.0.0.1:9000/key'],
  ['nowhere', 'http://127.0.0.1:8787', 'nonsense'],
])('no server may send us to %s', (_, server, url) => {
  expect(followable(url, new URL(server))).toBeUndefined()
})
