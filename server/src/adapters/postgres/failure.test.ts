import { expect, test } from 'vitest'
import { CairnError } from '@cairn/protocol/error'
import { databaseFailure, withDatabaseWords } from './failure.ts'

const withCode = (code: string, message = 'x') => Object.assign(new Error(message), { code })

test('a full disk of the database is no bug of the server, and no client tries again', () => {
  expect(databaseFailure(withCode('53100', 'could not extend file'))).toMatchObject({ code: 'STORAGE_FULL', status: 507 })
})

test('a database that is away or at its limit is worth another try', () => {
  const gone = [
    ...['57P01', '57P03', '08006', 'ECONNREFUSED', 'ENOENT'].map((code) => withCode(code)),
    new Error('Connection terminated unexpectedly'),
  ]
  for (const error of gone) expect(databaseFailure(error)).toMatchObject({ code: 'STORAGE_FAILED', status: 503, cause: error })
  expect(databaseFailure(withCode('53300'))).toMatchObject({ code: 'OVERLOADED', status: 503 })
})

test('anything else stays what it is', () => {
  for (const error of [withCode('23505'), new TypeError('x'), new CairnError('NOT_FOUND', 'x'), 'x'])
    expect(databaseFailure(error)).toBe(error)
})

test('every method of a port fails in those words, and answers as before', async () => {
  const port = withDatabaseWords({
    good: (value: number) => Promise.resolve(value + 1),
    bad: () => Promise.reject(withCode('53100')),
  })
  expect(await port.good(1)).toBe(2)
  await expect(port.bad()).rejects.toMatchObject({ code: 'STORAGE_FULL' })
})
