export const MD5_BYTES = 16

/** md5s in the order they came, each once: some 30 bytes each. md5 is its own hash. */
export interface Md5Table {
  readonly count: number
  /** The place of the 16 bytes at `offset`: its own, or that of the same md5 that came before. */
  place(md5s: Uint8Array, offset: number): number
  /** Of all, or of the places given. */
  bytes(places?: ArrayLike<number>): Uint8Array
}

const FIRST_CAPACITY = 1024
const MOST_EXPECTED = 2 ** 22

/** `expected`: how many will come, about. Growing to a million stops the server for a tenth of a second. */
export function createMd5Table(expected = 0): Md5Table {
  let held = new Uint8Array(0)
  let slots = new Uint32Array(0)
  let count = 0
  /** The slot of the md5, or the free one where it belongs. */
  const slotOf = (md5s: Uint8Array, offset: number): number => {
    let slot = firstInt(md5s, offset) & (slots.length - 1)
    for (let at = slots[slot] ?? 0; at !== 0; at = slots[slot] ?? 0) {
      if (isSame(held, (at - 1) * MD5_BYTES, md5s, offset)) return slot
      slot = (slot + 1) & (slots.length - 1)
    }
    return slot
  }
  const grow = () => {
    const capacity = count === 0 ? firstCapacity(expected) : count * 2
    held = enlarged(held, capacity * MD5_BYTES)
    slots = new Uint32Array(capacity * 2)
    for (let at = 0; at < count; at++) slots[slotOf(held, at * MD5_BYTES)] = at + 1
  }
  return {
    get count() {
      return count
    },
    place(md5s, offset) {
      if (count * MD5_BYTES === held.length) grow()
      const slot = slotOf(md5s, offset)
      const known = slots[slot] ?? 0
      if (known !== 0) return known - 1
      held.set(md5s.subarray(offset, offset + MD5_BYTES), count * MD5_BYTES)
      slots[slot] = count + 1
      return count++
    },
    bytes(places) {
      if (places === undefined) return held.subarray(0, count * MD5_BYTES)
      const some = new Uint8Array(places.length * MD5_BYTES)
      for (let at = 0; at < places.length; at++) {
        const from = (places[at] ?? 0) * MD5_BYTES
        some.set(held.subarray(from, from + MD5_BYTES), at * MD5_BYTES)
      }
      return some
    },
  }
}

/** A power of two. */
const firstCapacity = (expected: number): number =>
  Math.max(FIRST_CAPACITY, 2 ** Math.ceil(Math.log2(Math.min(Math.max(1, expected), MOST_EXPECTED))))

const firstInt = (bytes: Uint8Array, at: number): number =>
  (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)

function isSame(a: Uint8Array, from: number, b: Uint8Array, offset: number): boolean {
  for (let at = 0; at < MD5_BYTES; at++) if (a[from + at] !== b[offset + at]) return false
  return true
}

function enlarged(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length)
  larger.set(bytes)
  return larger
}

/** How often each place of a table was counted. */
export interface Counts {
  add(place: number): void
  of(place: number): number
}

export function createCounts(): Counts {
  let counts = new Uint32Array(1024)
  return {
    add(place) {
      if (place >= counts.length) {
        const larger = new Uint32Array(Math.max(place + 1, counts.length * 2))
        larger.set(counts)
        counts = larger
      }
      counts[place] = (counts[place] ?? 0) + 1
    },
    of: (place) => counts[place] ?? 0,
  }
}
