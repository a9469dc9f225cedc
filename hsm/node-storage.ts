/** What a share node keeps on disk: shares in a vault, one file an epoch; the audit log in a file of lines beside it.
 *
 *    DIR/vault, DIR/*.sealed    identity and shares (vault.ts)
 *    DIR/audit.log              lines (audit.ts), synced before anything they allow happens
 *    DIR/lock                   flock, held while a node runs
 *
 *  I1  One process at a time. */

import { readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { decode, encode } from 'cborg'
import { z } from 'zod'
import { ConclaveError, isErrno, lockFile, syncDirectory } from '../base/index.ts'
import type { AuditStorage } from './audit.ts'
import { signedInteger, signedOctets } from './integers.ts'
import type { ShareStorage, StoredShare } from './node-keys.ts'
import { hashOf } from './transcript.ts'
import type { Vault } from './vault.ts'

const PREFIX = 'share-'
const octets = z.custom<Uint8Array>(value => value instanceof Uint8Array)
const shareSchema = z.strictObject({
  coordinator: z.string(),
  state: z.enum(['prepared', 'active']),
  session: z.string(),
  echo: octets,
  record: octets,
  index: z.number().int(),
  share: octets,
})

export class VaultShares implements ShareStorage {
  readonly #vault: Vault

  constructor(vault: Vault) {
    this.#vault = vault
  }

  /** @throws ConclaveError VAULT_DAMAGED */
  load(): StoredShare[] {
    return this.#vault
      .names()
      .filter(name => name.startsWith(PREFIX))
      .map(name => this.#decode(name))
  }

  async save(share: StoredShare): Promise<void> {
    const encoded = encodeShare(share)
    const written = this.#vault.write(nameOf(share), encoded)
    // It was encrypted when `write` was called.
    encoded.fill(0)
    await written
  }

  remove(share: StoredShare): Promise<void> {
    return this.#vault.remove(nameOf(share))
  }

  #decode(name: string): StoredShare {
    const octets = this.#vault.read(name)
    const stored = decodeShare(octets)
    octets.fill(0)
    if (stored !== undefined && nameOf(stored) === name) return stored
    throw new ConclaveError('VAULT_DAMAGED', 'what is in the file is no share of that name', {
      place: { file: join(this.#vault.directory, name) },
      remedy: 'Restore it from a backup; nothing was changed.',
    })
  }
}

/** A session makes one share of one epoch. */
function nameOf({ coordinator, session }: StoredShare): string {
  return PREFIX + Buffer.from(hashOf('share file', coordinator, session).subarray(0, 16)).toString('hex')
}

export function encodeShare(share: StoredShare): Uint8Array {
  return encode({ ...share, share: signedOctets(share.share) })
}

export function decodeShare(encoded: Uint8Array): StoredShare | undefined {
  try {
    const parsed = shareSchema.safeParse(decode(encoded, { strict: true, rejectDuplicateMapKeys: true })).data
    const share = parsed === undefined ? undefined : signedInteger(parsed.share)
    return parsed === undefined || share === undefined ? undefined : { ...parsed, share }
  } catch {
    return undefined
  }
}

/** Lines behind lines. */
export class AuditFile implements AuditStorage {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  async append(text: string): Promise<void> {
    const file = await open(this.#path, 'a', 0o600)
    try {
      await file.writeFile(text)
      await file.datasync()
    } finally {
      await file.close()
    }
  }

  /** A last line without its end was being written when the machine stopped: nothing it tells of has happened. */
  lines(): string[] {
    try {
      return readFileSync(this.#path, 'utf8').split('\n').slice(0, -1)
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return []
      throw error
    }
  }

  /** Makes the file where there is none, its name durable; cuts off a last line that has no end, so that the next one begins on
   *  its own. */
  async mend(): Promise<void> {
    const whole = this.lines().map(line => `${line}\n`)
    const octets = Buffer.byteLength(whole.join(''))
    const file = await open(this.#path, 'a+', 0o600)
    try {
      if ((await file.stat()).size > octets) await file.truncate(octets)
      await file.sync()
    } finally {
      await file.close()
    }
    await syncDirectory(dirname(this.#path))
  }
}

/** I1. Gives what releases it.
 *  @throws ConclaveError NODE_RUNNING */
export function lockNode(directory: string): () => void {
  const path = resolve(directory)
  const outcome = lockFile(join(path, 'lock'))
  if (outcome.kind === 'locked') return outcome.release
  if (outcome.kind === 'unsupported') return () => {}
  const holder = outcome.pid === undefined ? '' : ` (process ${outcome.pid})`
  throw new ConclaveError('NODE_RUNNING', `a node runs in that directory already${holder}`, {
    place: { file: path },
  })
}
