import { expect, test } from 'vitest'
import { parseNetrc } from './netrc.ts'

test('hosts, on one line or many, with comments, macros, quotes and a default', () => {
  const text = `# mine
machine one.example.org login ada password s3cret
machine two.example.org
  login "grace hopper"
  # not: password wrong
  account ignored
  password "a \\"b\\""

macdef init
machine three.example.org login no password no

machine one.example.org login second password second
default login anonymous password me@example.org
`
  expect(Object.fromEntries(parseNetrc(text))).toEqual({
    'one.example.org': { login: 'ada', password: 's3cret' },
    'two.example.org': { login: 'grace hopper', password: 'a "b"' },
    '': { login: 'anonymous', password: 'me@example.org' },
  })
})

test('a text that is cut short or no such file breaks nothing', () => {
  for (const text of ['', 'machine', 'login x', 'machine h login', '"', 'machine h password', '{"a": 1}'])
    expect(parseNetrc(text).get('unknown')).toBeUndefined()
})
