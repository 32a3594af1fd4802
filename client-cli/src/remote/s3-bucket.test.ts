import { expect, test } from 'vitest'
import { openBucket } from './s3-bucket.ts'

const open = (options: Record<string, string>) => openBucket({ name: 'store', url: 's3://bucket/a/b/', options }, {})

test('the url names the bucket and the folder in it', () => {
  const keys = { access_key_id: 'a', secret_access_key: 'b' }
  expect(open(keys)).toMatchObject({ bucket: 'bucket', prefix: 'a/b/' })
})

test.each(['sse', 'sse_customer_key', 'acl', 'grant_read', 'version_aware', 'worktree'])(
  '%s is refused: without it objects would rest less protected, or elsewhere',
  (option) => {
    expect(() => open({ access_key_id: 'a', secret_access_key: 'b', [option]: 'x' })).toThrow(option)
  },
)
