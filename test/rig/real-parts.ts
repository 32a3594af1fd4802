import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { ROOT } from './project.ts'

/** The real services that scripts/real-parts.mjs started. */
export interface RealParts {
  /** Of a superuser: a suite makes a database of its own. */
  databaseUrl: string
  redisUrl: string
  s3: { endpoint: string; bucket: string; region: string; accessKey: string; secretKey: string }
  /** The path of stock dvc. */
  dvc: string
  /** A folder with the packages vega and vega-lite. */
  vega: string
}

export function realParts(): RealParts {
  const file = path.join(ROOT, '.cache/real-parts/env.json')
  if (!existsSync(file))
    throw new Error('The real parts do not run: run npm run test:real, or start them with node scripts/real-parts.mjs')
  const env = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string | undefined>
  const setting = (name: string): string => {
    const value = env[name]
    if (!value) throw new Error(`${file} lacks ${name}: run npm run test:real`)
    return value
  }
  return {
    databaseUrl: setting('CAIRN_TEST_DATABASE_URL'),
    redisUrl: setting('CAIRN_TEST_REDIS_URL'),
    s3: {
      endpoint: setting('CAIRN_TEST_S3_ENDPOINT'),
      bucket: setting('CAIRN_TEST_S3_BUCKET'),
      region: 'us-east-1',
      accessKey: setting('CAIRN_TEST_S3_ACCESS_KEY'),
      secretKey: setting('CAIRN_TEST_S3_SECRET_KEY'),
    },
    dvc: setting('CAIRN_TEST_DVC'),
    vega: setting('CAIRN_TEST_VEGA'),
  }
}
