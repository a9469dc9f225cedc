/** Files that a configuration names for their secrets. */
import { readFileSync, statSync } from 'node:fs'
import { decodeBase64, type Secret } from '../signer/index.ts'

/** Others than owner and group. */
const OTHERS_READ = 0o004
/** A secret is some tens of octets; what is far longer is another file. */
const SECRET_FILE_OCTETS_MAX = 4096

/** A secret from its base64; undefined when the file has something else.
 *  @throws as readFileSync does */
export function readSecret(path: string): Secret | undefined {
  const octets = readFileSync(path)
  const secret = octets.length > SECRET_FILE_OCTETS_MAX ? undefined : decodeBase64(octets)
  octets.fill(0)
  return secret
}

/** Whether users that are neither the owner nor in the group may read the file. */
export function isOpenToOthers(path: string): boolean {
  return ((statSync(path, { throwIfNoEntry: false })?.mode ?? 0) & OTHERS_READ) !== 0
}

/** Why a file cannot be read, in words. */
export function whyUnread(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? String(error)
  if (code === 'ENOENT') return 'there is no such file or directory'
  if (code === 'EACCES') return 'no permission to read it'
  if (code === 'EISDIR') return 'it is a directory'
  return `it cannot be read: ${code}`
}
