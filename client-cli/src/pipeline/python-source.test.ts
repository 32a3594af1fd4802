import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parsePythonSource } from './python-source.ts'
import { Float } from './python-value.ts'

/** Nested maps as objects. */
const plain = (value: unknown): unknown =>
  value instanceof Map ? Object.fromEntries([...value].map(([key, each]) => [String(key), plain(each)])) : value
const read = (source: string) => plain(parsePythonSource(source))

test('names of the module, attributes of classes and of self in __init__ are params', () => {
  expect(
    read(`"""Params."""
import os
LR = 0.1  # learning rate
EPOCHS: int = 10
NAME = 'a "b" # c'
BIG = 1_000; HEX = 0xff
NEG = -1.5e-3
ONE = 1.0
class Train(Base):
    """Doc = 1"""
    size = (
        1,  # one
        2,
    )
    class Deep:
        flag = True

    def __init__(self, x=5):
        self.layers = {"a": [1, None], 'b': {2: False}}
        self.rate: float = 5e-4
        local = 1
        if x:
            self.hidden = 1

    def other(self):
        self.not_here = 1
one = two = 3
a, b = 1, 2
LR2 = LR
call = dict(a=1)
text = f"{LR}"
LAST = "x" 'y' \\
  r"\\z"
`),
  ).toEqual({
    LR: 0.1,
    EPOCHS: 10,
    NAME: 'a "b" # c',
    BIG: 1000,
    HEX: 255,
    NEG: -0.0015,
    ONE: new Float(1),
    Train: { size: [1, 2], Deep: { flag: true }, layers: { a: [1, null], b: { 2: false } }, rate: 0.0005 },
    LAST: 'xy\\z',
  })
})

test('a class on one line, tabs, carriage returns and a byte order mark are read', () => {
  expect(read('\ufeffclass A: x = 1; y = [2,]\r\nclass B:\r\n\tz = ()\r\n\tw = 1,\r\n')).toEqual({
    A: { x: 1, y: [2] },
    B: { z: [], w: [1] },
  })
})

test.each([
  ['x += 1', {}],
  ['x == 1', {}],
  ['x: int', {}],
  ['x = 1 if True else 2', {}],
  ['x = 1 + 2', {}],
  ['x = [1, f()]', {}],
  ['x = 1j', {}],
  ["x = b'y'", {}],
  ['os.x = 1', {}],
  ["x = '''a\nb'''", { x: 'a\nb' }],
  ["x = 'a\\x41\\u00e9\\n\\q'", { x: 'aAé\n\\q' }],
  ['x = {1, 2}', { x: [1, 2] }],
  ['x = {}', { x: {} }],
  ['x = 1\nx = 2', { x: 2 }],
  ['def f():\n  x = 1\ny = 2', { y: 2 }],
])('%j gives %j', (source, params) => {
  expect(read(source)).toEqual(params)
})

test.each([['x = (1\ny = 2'], ["x = 'abc\n"], ['x = 1)']])('%j is refused with its line', (source) => {
  expect(() => parsePythonSource(source)).toThrow(/line \d/)
})

test('no text breaks it, however odd', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('x', '=', '(', ')', '{', '"', "'", '\\', '\n', ' ', ':', '#', 'class A', '1', ',') }),
      (text) => {
        try {
          parsePythonSource(text)
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxError)
        }
      },
    ),
  )
})
