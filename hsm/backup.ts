/** Backups of a node: all that is in its vault (identity and shares), sealed with a passphrase (scrypt, AES-256-GCM).
 *
 *    "conclave node backup 1\n" | salt | nonce | ciphertext | tag          inside, in CBOR: [name of the node, [[file, octets] …]]
 *
 *  I1  A backup opens with its passphrase only, whole or not at all.
 *  I2  A share in the vault is never replaced by an older one of the same key: epochs only rise. An old epoch that is restored
 *      all the same (into an empty vault) is refused by the other nodes' shares: it fits none of theirs. */

import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto'
import { decode, encode } from 'cborg'
import { z } from 'zod'
import { ConclaveError } from '../base/index.ts'
import { decodeKeyRecord, quorumKeyId } from './key-record.ts'
import { decodeShare } from './node-storage.ts'
import { VAULT_IDENTITY } from './quorum-files.ts'
import type { Vault } from './vault.ts'

const HEAD = Buffer.from('conclave node backup 1\n')
const SALT_OCTETS = 16
const NONCE_OCTETS = 12
const TAG_OCTETS = 16
const KEY_OCTETS = 32
/** RFC 7914 §2: 128 r N octets of memory, 128 MiB here. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 << 20 }
const PASSPHRASE_OCTETS_MIN = 8

const octets = z.custom<Uint8Array>(value => value instanceof Uint8Array)
const contentSchema = z.tuple([z.string(), z.array(z.tuple([z.string(), octets]))])

/** @throws ConclaveError BACKUP_PASSPHRASE, VAULT_DAMAGED */
export function makeBackup(node: string, vault: Vault, passphrase: Uint8Array): Uint8Array {
  if (passphrase.length < PASSPHRASE_OCTETS_MIN) {
    throw new ConclaveError(
      'BACKUP_PASSPHRASE',
      `the passphrase has less than ${PASSPHRASE_OCTETS_MIN} octets`,
      {
        remedy: 'Take some words that nobody guesses.',
      },
    )
  }
  const content = encode([node, vault.names().map(name => [name, vault.read(name)])])
  const salt = randomBytes(SALT_OCTETS)
  const nonce = randomBytes(NONCE_OCTETS)
  const cipher = createCipheriv('aes-256-gcm', keyOf(passphrase, salt), nonce, { authTagLength: TAG_OCTETS })
  cipher.setAAD(HEAD)
  const text = Buffer.concat([cipher.update(content), cipher.final()])
  content.fill(0)
  return new Uint8Array(Buffer.concat([HEAD, salt, nonce, text, cipher.getAuthTag()]))
}

export interface RestoredShare {
  readonly zone: string
  readonly epoch: number
  /** I2: the vault has this epoch of the key, or a newer one. */
  readonly restored: boolean
}

/** Puts what is missing into the vault of that node, which must not run.
 *  @throws ConclaveError BACKUP_PASSPHRASE, BACKUP_OTHER, VAULT_… */
export async function restoreBackup(
  node: string,
  vault: Vault,
  sealed: Uint8Array,
  passphrase: Uint8Array,
): Promise<RestoredShare[]> {
  const [name, files] = openBackup(sealed, passphrase)
  if (name !== node) {
    throw new ConclaveError('BACKUP_OTHER', `the backup is of ${name}`, { place: { node } })
  }
  const present = vault.names()
  const epochs = epochsOf(present.map(file => vault.read(file)))
  const restored: RestoredShare[] = []
  for (const [file, content] of files) {
    const share = shareOf(content)
    const isOld = share !== undefined && share.epoch <= (epochs.get(share.key) ?? 0)
    // Another identity would be another node.
    const stays = isOld || (present.includes(file) && (share !== undefined || file === VAULT_IDENTITY))
    if (!stays) await vault.write(file, content)
    if (share !== undefined) restored.push({ zone: share.zone, epoch: share.epoch, restored: !stays })
  }
  return restored
}

function openBackup(sealed: Uint8Array, passphrase: Uint8Array): z.infer<typeof contentSchema> {
  const fail = (cause?: unknown): ConclaveError =>
    new ConclaveError('BACKUP_PASSPHRASE', 'the passphrase does not open it, or it is not a whole backup', {
      ...(cause === undefined ? {} : { cause }),
      remedy: 'Nothing was changed: take the passphrase that it was made with, or another backup.',
    })
  const start = HEAD.length + SALT_OCTETS + NONCE_OCTETS
  const end = sealed.length - TAG_OCTETS
  if (end < start || Buffer.compare(sealed.subarray(0, HEAD.length), HEAD) !== 0) throw fail()
  const key = keyOf(passphrase, sealed.subarray(HEAD.length, HEAD.length + SALT_OCTETS))
  const nonce = sealed.subarray(start - NONCE_OCTETS, start)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_OCTETS })
  try {
    decipher.setAAD(HEAD).setAuthTag(sealed.subarray(end))
    const content = Buffer.concat([decipher.update(sealed.subarray(start, end)), decipher.final()])
    return contentSchema.parse(decode(content, { strict: true }))
  } catch (cause) {
    throw fail(cause)
  }
}

function keyOf(passphrase: Uint8Array, salt: Uint8Array): Buffer {
  return scryptSync(passphrase, salt, KEY_OCTETS, SCRYPT)
}

interface ShareFacts {
  readonly key: string
  readonly zone: string
  readonly epoch: number
}

/** Undefined for what is no share. */
function shareOf(content: Uint8Array): ShareFacts | undefined {
  const share = decodeShare(content)
  const record = share === undefined ? undefined : decodeKeyRecord(share.record)
  if (share === undefined || record === undefined) return undefined
  return { key: `${share.coordinator} ${quorumKeyId(record)}`, zone: record.zone, epoch: record.epoch }
}

function epochsOf(contents: readonly Uint8Array[]): Map<string, number> {
  const epochs = new Map<string, number>()
  for (const content of contents) {
    const share = shareOf(content)
    if (share !== undefined) epochs.set(share.key, Math.max(share.epoch, epochs.get(share.key) ?? 0))
  }
  return epochs
}
