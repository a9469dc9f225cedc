/** Secrets at rest: a directory of small files, each encrypted whole under one master key, which comes from a passphrase
 *  (scrypt, RFC 7914) or from a key file.
 *
 *    DIR/vault          how the master key is made, and a word to test it with
 *    DIR/NAME.sealed    nonce | ciphertext | tag, by AES-256-GCM; the file's name is authenticated too
 *
 *  I1  Files appear whole or not at all, durable, mode 0600 in a directory 0700.
 *  I2  A wrong passphrase or key file is told from damage, and neither changes anything.
 *  I3  A file put under another's name does not open. An older copy of the same file does: epochs, kept by the other nodes,
 *      are what tells (node-keys.ts). */

import { createCipheriv, createDecipheriv, hkdfSync, randomBytes, scryptSync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ConclaveError, makeDirectory, syncDirectory, writeFileWhole } from '../base/index.ts'

/** What opens a vault. */
export type VaultSecret =
  | { readonly kind: 'passphrase'; readonly passphrase: Uint8Array }
  /** At least 32 random octets. */
  | { readonly kind: 'key'; readonly octets: Uint8Array }

const FORMAT = 1
const KEY_OCTETS = 32
const NONCE_OCTETS = 12
const TAG_OCTETS = 16
const SALT_OCTETS = 16
const SUFFIX = '.sealed'
const VAULT = 'vault'
const TEST_WORD = 'conclave vault'
/** RFC 7914 §2: 128 r N octets of memory, 128 MiB here, and some tenths of a second. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 << 20 }
const PRIVATE_FILE = { mode: 0o600 }

interface VaultHead {
  readonly format: number
  readonly kind: VaultSecret['kind']
  readonly salt: string
  readonly test: string
}

export class Vault {
  readonly directory: string
  readonly #key: Uint8Array

  private constructor(directory: string, key: Uint8Array) {
    this.directory = directory
    this.#key = key
  }

  /** @throws ConclaveError VAULT_EXISTS */
  static async create(directory: string, secret: VaultSecret): Promise<Vault> {
    await makeDirectory(directory, 0o700)
    if (readdirSync(directory).includes(VAULT)) {
      throw new ConclaveError('VAULT_EXISTS', 'there is a vault already', { place: { file: directory } })
    }
    const salt = randomBytes(SALT_OCTETS)
    const vault = new Vault(directory, masterKey(secret, salt))
    const test = vault.#seal(VAULT, Buffer.from(TEST_WORD))
    const head: VaultHead = {
      format: FORMAT,
      kind: secret.kind,
      salt: salt.toString('hex'),
      test: Buffer.from(test).toString('hex'),
    }
    await writeFileWhole(join(directory, VAULT), `${JSON.stringify(head)}\n`, {
      ...PRIVATE_FILE,
      exclusive: true,
    })
    return vault
  }

  /** @throws ConclaveError VAULT_OPEN, VAULT_SECRET */
  static open(directory: string, secret: VaultSecret): Vault {
    const head = readHead(directory)
    if (head.kind !== secret.kind) {
      throw new ConclaveError(
        'VAULT_SECRET',
        `the vault is opened by a ${head.kind}, not by a ${secret.kind}`,
        {
          place: { file: directory },
        },
      )
    }
    const vault = new Vault(directory, masterKey(secret, Buffer.from(head.salt, 'hex')))
    const word = vault.#unseal(VAULT, Buffer.from(head.test, 'hex'))
    if (word !== undefined && Buffer.from(word).toString() === TEST_WORD) return vault
    throw new ConclaveError('VAULT_SECRET', `the ${secret.kind} does not open the vault`, {
      place: { file: directory },
    })
  }

  /** Names of what is in it. */
  names(): string[] {
    return readdirSync(this.directory)
      .filter(name => name.endsWith(SUFFIX))
      .map(name => name.slice(0, -SUFFIX.length))
      .sort()
  }

  /** @throws ConclaveError VAULT_DAMAGED, and what reading a file may throw */
  read(name: string): Uint8Array {
    const file = join(this.directory, name + SUFFIX)
    const octets = this.#unseal(name, readFileSync(file))
    if (octets !== undefined) return octets
    throw new ConclaveError('VAULT_DAMAGED', 'the file is damaged, or was put under another name', {
      place: { file },
      remedy: 'Restore it from a backup; nothing was changed.',
    })
  }

  /** I1. */
  write(name: string, octets: Uint8Array): Promise<void> {
    return writeFileWhole(join(this.directory, name + SUFFIX), this.#seal(name, octets), PRIVATE_FILE)
  }

  /** Resolves when it is gone for good. */
  async remove(name: string): Promise<void> {
    await rm(join(this.directory, name + SUFFIX), { force: true })
    await syncDirectory(this.directory)
  }

  #seal(name: string, octets: Uint8Array): Uint8Array {
    const nonce = randomBytes(NONCE_OCTETS)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG_OCTETS })
    cipher.setAAD(Buffer.from(name))
    const text = Buffer.concat([cipher.update(octets), cipher.final()])
    return new Uint8Array(Buffer.concat([nonce, text, cipher.getAuthTag()]))
  }

  #unseal(name: string, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < NONCE_OCTETS + TAG_OCTETS) return undefined
    const nonce = sealed.subarray(0, NONCE_OCTETS)
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: TAG_OCTETS })
    const end = sealed.length - TAG_OCTETS
    try {
      decipher.setAAD(Buffer.from(name)).setAuthTag(sealed.subarray(end))
      const text = decipher.update(sealed.subarray(NONCE_OCTETS, end))
      return new Uint8Array(Buffer.concat([text, decipher.final()]))
    } catch {
      return undefined
    }
  }
}

function masterKey(secret: VaultSecret, salt: Uint8Array): Uint8Array {
  if (secret.kind === 'passphrase')
    return new Uint8Array(scryptSync(secret.passphrase, salt, KEY_OCTETS, SCRYPT))
  if (secret.octets.length < KEY_OCTETS) {
    throw new ConclaveError('VAULT_SECRET', `a key file has ${KEY_OCTETS} random octets at least`)
  }
  return new Uint8Array(hkdfSync('sha256', secret.octets, salt, 'conclave vault', KEY_OCTETS))
}

function readHead(directory: string): VaultHead {
  const file = join(directory, VAULT)
  try {
    const head = JSON.parse(readFileSync(file, 'utf8')) as Partial<VaultHead>
    const { format, kind, salt, test } = head
    if (format !== FORMAT) throw new Error(`its format is ${String(format)}; this release reads ${FORMAT}`)
    if ((kind !== 'passphrase' && kind !== 'key') || typeof salt !== 'string' || typeof test !== 'string') {
      throw new Error('it is not the head of a vault')
    }
    return { format, kind, salt, test }
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause)
    throw new ConclaveError('VAULT_OPEN', `the vault cannot be opened: ${what}`, { place: { file }, cause })
  }
}
