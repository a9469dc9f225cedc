/** Other people's programs as judges of ours. A test that needs one that is not installed says so and passes; in
 *  continuous integration it fails, so that no judge is lost in silence. */

import { accessSync, constants } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { delimiter, join } from 'node:path'
import type { ExecutionContext } from 'ava'

/** Debian puts servers where the PATH of ordinary users does not reach. */
const EXTRA_DIRECTORIES = ['/usr/sbin', '/usr/local/sbin', '/sbin']

/** For dig and kdig: how long they wait for an answer on a busy machine, where five seconds are their own measure. */
export const PATIENT = '+time=100'

/** The path of an installed program; undefined when there is none. */
export function toolPath(name: string): string | undefined {
  for (const directory of [...(process.env['PATH'] ?? '').split(delimiter), ...EXTRA_DIRECTORIES]) {
    const path = join(directory, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not here: look further.
    }
  }
  return undefined
}

/** Whether the program is installed.
 *  @throws when it is not and CI is set */
export function hasTool(name: string): boolean {
  if (toolPath(name) !== undefined) return true
  if (process.env['CI'] !== undefined) throw new Error(`${name} is not installed; the CI image must have it`)
  return false
}

/** For the first line of a test: `if (!needs(t, 'delv')) return`. Logs and passes when a program is missing. */
export function needs(t: ExecutionContext, ...names: readonly string[]): boolean {
  const missing = names.filter(name => !hasTool(name))
  if (missing.length === 0) return true
  t.log(`skipped: needs ${missing.join(', ')}`)
  t.pass()
  return false
}

/** For tests over ::1, which a container may lack, in continuous integration too: logs and passes where it is so. */
export function needsIpv6(t: ExecutionContext): boolean {
  if (Object.values(networkInterfaces()).some(all => all?.some(({ address }) => address === '::1')))
    return true
  t.log('skipped: this machine has no ::1')
  t.pass()
  return false
}
