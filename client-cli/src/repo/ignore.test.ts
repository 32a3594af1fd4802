import fc from 'fast-check'
import createMatcher from 'ignore'
import { describe, expect, test } from 'vitest'
import { ignoreFrom } from './ignore.ts'

const ignoreOf = (files: Record<string, string>) => ignoreFrom((file) => files[file])

describe('.dvcignore', () => {
  test('.git, .hg and .dvc are ignored at any depth', () => {
    const ignore = ignoreOf({})
    expect(['.git', '.hg', '.dvc', 'sub/.dvc', 'sub/.git'].map((dir) => ignore.ignores(dir, true))).toEqual([
      true,
      true,
      true,
      true,
      true,
    ])
    expect(ignore.ignores('sub/.git', false)).toBe(true)
    expect(ignore.ignores('.dvc/config', false)).toBe(true)
    expect(ignore.ignores('x.dvc', false)).toBe(false)
  })

  test('anchored, floating, folder-only, negated and escaped patterns', () => {
    const ignore = ignoreOf({ '.dvcignore': '# comment\n  *.log  \n!keep.log\n/top\nbuild/\na/**/z\n\\#x\n' })
    const ignored = (file: string, isDirectory = false) => ignore.ignores(file, isDirectory)
    expect([ignored('x.log'), ignored('sub/x.log'), ignored('keep.log')]).toEqual([true, true, false])
    expect([ignored('top'), ignored('sub/top')]).toEqual([true, false])
    expect([ignored('sub/build', true), ignored('sub/build', false), ignored('sub/build/x')]).toEqual([true, false, true])
    expect([ignored('a/z'), ignored('a/b/c/z'), ignored('b/a/z')]).toEqual([true, true, false])
    expect([ignored('#x'), ignored('X.LOG')]).toEqual([true, false])
  })

  test('an ignored folder hides everything below, whatever says otherwise', () => {
    const ignore = ignoreOf({ '.dvcignore': 'out\n!out/keep\n', 'out/.dvcignore': '!*\n' })
    expect(ignore.ignores('out/keep', false)).toBe(true)
  })

  test('patterns of a folder hold below it, and a deeper file wins', () => {
    const ignore = ignoreOf({ '.dvcignore': '*.tmp\nbuild\n', 'a b/.dvcignore': '!*.tmp\n/only\nx\n!build\n' })
    expect([ignore.ignores('a b/1.tmp', false), ignore.ignores('1.tmp', false)]).toEqual([false, true])
    expect([ignore.ignores('a b/only', false), ignore.ignores('only', false), ignore.ignores('a b/c/only', false)]).toEqual([
      true,
      false,
      false,
    ])
    expect([ignore.ignores('a b/c/x', false), ignore.ignores('c/x', false)]).toEqual([true, false])
    expect(ignore.ignores('a b/build/file', false)).toBe(false)
  })

  test('a folder with pattern characters in its name is taken literally', () => {
    const ignore = ignoreOf({ 'a[1]/.dvcignore': '/x\n' })
    expect([ignore.ignores('a[1]/x', false), ignore.ignores('a1/x', false)]).toEqual([true, false])
  })

  test('paths outside of the root are not its business', () => {
    expect(ignoreOf({ '.dvcignore': '*\n' }).ignores('../x', false)).toBe(false)
  })

  test('rules without patterns are looked up, and decide as when they are matched', () => {
    const aName = fc.constantFrom('a', 'b', 'a.b', '.x', 'data')
    const aPath = fc.array(aName, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'))
    const aRule = fc.tuple(fc.constantFrom('', '/'), aPath, fc.constantFrom('', '/')).map((parts) => parts.join(''))
    fc.assert(
      fc.property(fc.array(aRule, { maxLength: 6 }), aPath, fc.boolean(), (rules, path, isDirectory) => {
        const matcher = createMatcher({ ignorecase: false }).add(rules)
        const ignore = ignoreOf({ '.dvcignore': rules.join('\n') })
        const expected = matcher.ignores(isDirectory ? `${path}/` : path)
        expect(ignore.ignores(path, isDirectory)).toBe(expected)
        const cut = path.lastIndexOf('/')
        expect(ignore.within(path.slice(0, Math.max(0, cut)))(path.slice(cut + 1), isDirectory)).toBe(expected)
      }),
    )
  })
})
