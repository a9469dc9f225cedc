/** The version of this release, from its package.json. */
import { readFileSync } from 'node:fs'

const manifest = new URL('../../package.json', import.meta.url)

export const programVersion: string = (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string })
  .version
