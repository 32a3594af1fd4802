import path from 'node:path'
import { probeTimestamps, type Timestamps } from '../cache/file-stat.ts'
import { openObjectCache } from '../cache/object-cache.ts'
import { openStatCache } from '../cache/stat-cache.ts'
import type { Report } from '../report/event.ts'
import type { Repo } from '../repo/repo.ts'
import { checkout, removeOutput } from './checkout.ts'
import { type Desk, workspacePath } from './desk.ts'
import { contentOf } from './digest-path.ts'
import { expectFiles } from './early-files.ts'
import { openLinksRecord } from './links-record.ts'
import { save } from './save.ts'
import { openSingleFiles } from './single-files.ts'
import { unprotect } from './unprotect.ts'
import type { Workspace } from './workspace.ts'

/** `timestamps`: what is known of the file system's clock; by default it is tried. Opens nothing before it is needed. Close it, also after a failure: what was learnt so far is kept. */
export function openWorkspace(
  repo: Repo,
  options: { signal: AbortSignal; report: Report; timestamps?: Timestamps | undefined },
): Workspace {
  const own = path.join(repo.tmpDir, 'cairn')
  let probed = options.timestamps
  const timestamps = () => (probed ??= probeTimestamps(own))
  const shared = repo.config.get('cache', 'shared') === 'group'
  const cache = openObjectCache(repo.cacheDir, { tmpDir: repo.tmpDir, shared, timestamps })
  const tables = openStatCache(path.join(own, 'stat'))
  const singles = openSingleFiles(tables)
  const links = openLinksRecord(path.join(own, 'links'))
  const desk: Desk = {
    repo,
    cache,
    tables,
    singles,
    links,
    timestamps,
    signal: options.signal,
    report: options.report,
  }
  return {
    repo,
    cache,
    contentOf: (file, how) => contentOf(desk, file, how),
    async save(file, how) {
      const content = await save(desk, file, how)
      if (how.cache) links.set(workspacePath(desk, file), content.digest)
      return content
    },
    expect: (wanted) => expectFiles(desk, wanted),
    checkout: (wanted, how) => checkout(desk, wanted, how),
    remove: (file, how) => removeOutput(desk, workspacePath(desk, file), how),
    unprotect: (file) => unprotect(desk, file),
    forget: (file) => links.delete(workspacePath(desk, file)),
    close() {
      cache.close()
      singles.flush()
      links.flush()
    },
  }
}
