const block = (a: string, b: string, c: string, d: string, e: string, f: string): Buffer =>
  Buffer.from(
    `d131dd02c5e6eec4693d9a0698aff95c2fcab5${a}12467eab4004583eb8fb7f8955ad340609f4b30283e4888325${b}415a085125e8f7cdc99fd91dbd${c}80373c5b` +
      `d8823e3156348f5bae6dacd436c919c6dd53e2${d}87da03fd02396306d248cda0e99f33420f577ee8ce54b67080${e}0d1ec69821bcb6a8839396f965${f}6ff72a70`,
    'hex',
  )

/** Two contents with one md5, which Wang and Yu published in 2004. */
export const COLLISION: readonly [Buffer, Buffer] = [
  block('87', '71', 'f2', 'b4', 'a8', '2b'),
  block('07', 'f1', '72', '34', '28', 'ab'),
]
