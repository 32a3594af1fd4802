import { expect, test } from 'vitest'
import { createAdmission } from './admission.ts'

const signal = new AbortController().signal
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('bytes and requests are bounded, and a release makes room', async () => {
  const admission = createAdmission({ requestsInFlight: 2, bytesInFlight: 100 })
  const first = await admission.enter(60, { wait: false, signal })
  await expect(admission.enter(60, { wait: false, signal })).rejects.toMatchObject({ code: 'OVERLOADED' })
  const second = await admission.enter(40, { wait: false, signal })
  await expect(admission.enter(0, { wait: false, signal })).rejects.toMatchObject({ code: 'OVERLOADED' })
  first()
  first()
  expect([admission.requests, admission.bytes]).toEqual([1, 40])
  second()
  expect([admission.requests, admission.bytes]).toEqual([0, 0])
})

test('who waits is let in in order, and nobody overtakes', async () => {
  const admission = createAdmission({ requestsInFlight: 1, bytesInFlight: 100 })
  const order: string[] = []
  const release = await admission.enter(1, { wait: true, signal })
  const line = ['a', 'b', 'c'].map((name) =>
    admission.enter(1, { wait: true, signal }).then((leave) => {
      order.push(name)
      leave()
    }),
  )
  await expect(admission.enter(1, { wait: false, signal })).rejects.toMatchObject({ code: 'OVERLOADED' })
  await settled()
  expect(order).toEqual([])
  release()
  await Promise.all(line)
  expect(order).toEqual(['a', 'b', 'c'])
})

test('one that is larger than everything runs alone', async () => {
  const admission = createAdmission({ requestsInFlight: 5, bytesInFlight: 100 })
  const release = await admission.enter(1000, { wait: false, signal })
  await expect(admission.enter(1, { wait: false, signal })).rejects.toMatchObject({ code: 'OVERLOADED' })
  release()
  ;(await admission.enter(1, { wait: false, signal }))()
})

test('who leaves the line takes no room', async () => {
  const admission = createAdmission({ requestsInFlight: 1, bytesInFlight: 100 })
  const release = await admission.enter(1, { wait: true, signal })
  const gone = new AbortController()
  const waiting = admission.enter(1, { wait: true, signal: gone.signal })
  const behind = admission.enter(1, { wait: true, signal })
  gone.abort()
  await expect(waiting).rejects.toThrow()
  release()
  ;(await behind)()
  expect(admission.requests).toBe(0)
})
