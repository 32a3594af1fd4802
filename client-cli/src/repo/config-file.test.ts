import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseConfigFile, removeSection, renameSection, setOption, unsetOption } from './config-file.ts'

const parse = (text: string) => parseConfigFile(text, 'config')
const values = (text: string) =>
  Object.fromEntries(
    [...parse(text).sections.values()].map(({ name, options }) => [
      name,
      Object.fromEntries([...options].map(([key, { value }]) => [key, value])),
    ]),
  )

describe('reading', () => {
  test('reads what dvc writes', () => {
    const text = `[core]\n    remote = storage\n    autostage = true\n[cache]\n    type = "reflink,copy"\n['remote "storage"']\n    url = ../../store\n    endpointurl = http://x:9000\n`
    expect(values(text)).toEqual({
      core: { remote: 'storage', autostage: 'true' },
      cache: { type: 'reflink,copy' },
      'remote "storage"': { url: '../../store', endpointurl: 'http://x:9000' },
    })
  })

  test('takes a BOM, CRLF, blanks, comments, capitals and the plain form of a remote', () => {
    const text =
      '\uFEFF# ours\r\n\r\n [Core] # main\r\nRemote = Team # the server\r\n[remote "Team"]\r\n  URL = "http://x/#a" \r\n'
    expect(values(text)).toEqual({ core: { remote: 'Team' }, 'remote "team"': { url: 'http://x/#a' } })
  })

  test('reads lists, quotes of all kinds, empty values and values over several lines', () => {
    const text = `[a]\nlist = hardlink, "sym,link" ,copy # c\none = x,\nnone =\nempty = ""\nsingle = 'a "b" # c'\napos = it's\nlong = """first\n[not a section]\nlast""" # done\nnext = 1\n`
    expect(values(text)['a']).toEqual({
      list: ['hardlink', 'sym,link', 'copy'],
      one: ['x'],
      none: '',
      empty: '',
      single: 'a "b" # c',
      apos: "it's",
      long: 'first\n[not a section]\nlast',
      next: '1',
    })
  })

  test('a percent sign is a percent sign', () => {
    expect(values('[a]\npassword = x%(y)s\n')['a']).toEqual({ password: 'x%(y)s' })
  })

  test.each([
    ['[core', /Invalid line \('\[core'\) .* at line 1/],
    ['[a]\n<<<<<<< HEAD\n', /Invalid line .* at line 2/],
    ['[a]\nx = "open\n', /Parse error in value at line 2/],
    ['[a]\nx = """open\n', /Parse error in value at line 2/],
    ['[a]\nx = 1\nX = 2\n', /Duplicate keyword name at line 3/],
    ['[a]\n[A]\n', /Duplicate section name at line 2/],
    ['[[a]]\n', /Invalid line/],
  ])('refuses %j and names the line', (text, message) => {
    expect(() => parse(text)).toThrow(
      expect.objectContaining({ code: 'CONFIG', exit: 251, message: expect.stringMatching(message) as string }),
    )
  })
})

describe('editing', () => {
  const text = `# shared by the team\n[core]\n    autostage = true   # keep\n\n# the server\n['remote "team"']\n    url = http://x   ; no comment\n    jobs = 4 # many\n`

  test('a new option goes behind the last one of its section, a new section before the remotes', () => {
    expect(setOption(parse(text), 'core', 'remote', 'team')).toBe(text.replace('# keep\n', '# keep\n    remote = team\n'))
    expect(setOption(parse(text), 'cache', 'type', 'copy')).toBe(
      text.replace('# the server', '[cache]\n    type = copy\n# the server'),
    )
  })

  test('a remote goes behind the other remotes and before databases', () => {
    const before = `['remote "a"']\n    url = a\n['db "d"']\n    url = d\n`
    expect(setOption(parse(before), 'remote "b"', 'url', 'b')).toBe(
      `['remote "a"']\n    url = a\n['remote "b"']\n    url = b\n['db "d"']\n    url = d\n`,
    )
  })

  test('a changed option keeps its line, its spacing and its comment', () => {
    expect(setOption(parse(text), 'remote "team"', 'jobs', '8')).toBe(text.replace('jobs = 4', 'jobs = 8'))
    expect(setOption(parse(`[a]\nx=[]" # c\n`.replace('[]"', '1, "2" ')), 'a', 'x', '3')).toBe('[a]\nx=3  # c\n')
  })

  test('a section without options goes, unless somebody wrote a comment into it', () => {
    expect(unsetOption(parse('[a]\n    x = 1\n[b]\n    y = 2\n'), 'a', 'x')).toBe('[b]\n    y = 2\n')
    expect(unsetOption(parse('[a]\n    # why\n    x = 1\n'), 'a', 'x')).toBe('[a]\n    # why\n')
  })

  test('removing a section leaves the comment above the next one', () => {
    expect(removeSection(parse(`[a]\n    x = 1\n\n# about b\n[b]\n    y = 2\n`), 'a')).toBe('# about b\n[b]\n    y = 2\n')
  })

  test('renaming keeps the options', () => {
    expect(renameSection(parse(`[remote "a"] # c\n    url = x\n`), 'remote "a"', 'remote "b"')).toBe(
      `['remote "b"'] # c\n    url = x\n`,
    )
  })

  test('CRLF stays CRLF and a missing last line end is added', () => {
    expect(setOption(parse('[a]\r\n    x = 1'), 'a', 'y', '2')).toBe('[a]\r\n    x = 1\r\n    y = 2\r\n')
  })

  test('quotes only what would read as something else', () => {
    const written = (value: string) => /x = (.*)\n$/s.exec(setOption(parse(''), 'a', 'x', value))?.[1]
    expect(written('reflink,copy')).toBe('"reflink,copy"')
    expect(written('a#b')).toBe('"a#b"')
    expect(written(' a')).toBe('" a"')
    expect(written('')).toBe('""')
    expect(written('"a"')).toBe(`'"a"'`)
    expect(written('http://x y')).toBe('http://x y')
    expect(() => written('a\nb')).toThrow(/line breaks/)
  })

  test('whatever can be written is read back', () => {
    const value = fc.string({ unit: fc.constantFrom('a', ' ', '"', "'", ',', '#', '=', '[', ']', '%', '\\', 'é', '\t') })
    const key = fc.constantFrom('x', 'y', 'z')
    const section = fc.constantFrom('a', 'b', 'remote "r"', 'db "d"')
    fc.assert(
      fc.property(fc.array(fc.tuple(section, key, value), { maxLength: 8 }), (edits) => {
        let file = ''
        const wanted: Record<string, Record<string, string>> = {}
        for (const [name, option, text] of edits) {
          if (text.includes('"') && text.includes("'") && /'''|'$|"""/.test(text)) continue
          file = setOption(parse(file), name, option, text)
          wanted[name] = { ...wanted[name], [option]: text }
        }
        expect(values(file)).toEqual(wanted)
      }),
    )
  })
})
