/** The secrets of a party in its vault: identity and CURVE keys, in one file each party. */

import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { decode, encode } from 'cborg'
import { z } from 'zod'
import { ConclaveError, writeFileWhole } from '../base/index.ts'
import { generateIdentity, type Identity, type IdentitySecrets, identityOf } from './identity.ts'
import type { PinnedParty, VaultOpener, VaultPlace } from './quorum-files.ts'
import { type CurveKeys, generateCurveKeys } from './transport.ts'
import { Vault, type VaultSecret } from './vault.ts'

export interface Party {
  readonly identity: Identity
  readonly curve: CurveKeys
}

const KEY_FILE_OCTETS = 32
const octets = z.custom<Uint8Array>(value => value instanceof Uint8Array)
const partySchema = z.tuple([z.string(), octets, octets, z.string(), z.string()])

/** Makes a party, and keeps it in the vault under that name. */
export async function createParty(vault: Vault, file: string, name: string): Promise<PinnedParty> {
  const secrets = generateIdentity(name)
  const curve = generateCurveKeys()
  await vault.write(file, encode([name, secrets.signing, secrets.sealing, curve.publicKey, curve.secretKey]))
  return { ...identityOf(secrets).publicIdentity, curve: curve.publicKey }
}

/** @throws ConclaveError VAULT_DAMAGED */
export function readParty(vault: Vault, file: string): Party {
  const { curve, ...secrets } = readPartySecrets(vault, file)
  return { identity: identityOf(secrets), curve }
}

/** The private halves as they are, for a process that is to be that party.
 *  @throws ConclaveError VAULT_DAMAGED */
export function readPartySecrets(
  vault: Vault,
  file: string,
): IdentitySecrets & { readonly curve: CurveKeys } {
  const parsed = partySchema.safeParse(decode(vault.read(file), { strict: true })).data
  if (parsed === undefined) {
    throw new ConclaveError('VAULT_DAMAGED', 'what is in the file is no identity', {
      place: { file: vault.directory },
      remedy: 'Restore it from a backup; nothing was changed.',
    })
  }
  const [name, signing, sealing, publicKey, secretKey] = parsed
  return { name, signing, sealing, curve: { publicKey, secretKey } }
}

/** @throws ConclaveError VAULT_OPEN, VAULT_SECRET */
export function openVault({ vault, opener }: VaultPlace): Vault {
  const secret = vaultSecret(opener)
  try {
    return Vault.open(vault, secret)
  } finally {
    wipe(secret)
  }
}

/** What opened a vault is not needed any more: the vault has a key made of it. */
function wipe(secret: VaultSecret): void {
  const octets = secret.kind === 'key' ? secret.octets : secret.passphrase
  octets.fill(0)
}

/** @throws ConclaveError VAULT_SECRET */
export function vaultSecret(opener: VaultOpener): VaultSecret {
  switch (opener.kind) {
    case 'key-file':
      return { kind: 'key', octets: new Uint8Array(readSecret(opener.file)) }
    case 'passphrase-file':
      return { kind: 'passphrase', passphrase: withoutNewline(readSecret(opener.file)) }
    case 'passphrase-variable': {
      const text = process.env[opener.variable]
      if (text !== undefined && text !== '') return { kind: 'passphrase', passphrase: Buffer.from(text) }
      throw new ConclaveError('VAULT_SECRET', `the variable ${opener.variable} is not set`, {
        remedy: 'Set it to the passphrase where the process is started.',
      })
    }
  }
}

/** The same where there may be none yet; a key file that is missing is made, too.
 *  @throws ConclaveError VAULT_OPEN, VAULT_SECRET */
export async function openOrCreateVault(place: VaultPlace): Promise<Vault> {
  if (existsSync(join(place.vault, 'vault'))) return openVault(place)
  const { opener } = place
  if (opener.kind === 'key-file' && !existsSync(opener.file)) {
    const octets = new Uint8Array(randomBytes(KEY_FILE_OCTETS))
    await writeFileWhole(opener.file, octets, { mode: 0o600, exclusive: true })
  }
  const secret = vaultSecret(opener)
  try {
    return await Vault.create(place.vault, secret)
  } finally {
    wipe(secret)
  }
}

function readSecret(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause)
    throw new ConclaveError('VAULT_SECRET', `what opens the vault cannot be read: ${what}`, {
      place: { file },
      cause,
    })
  }
}

/** An editor's last newline is no part of a passphrase. */
function withoutNewline(octets: Uint8Array): Uint8Array {
  const end = octets.at(-1) === 0x0a ? (octets.at(-2) === 0x0d ? 2 : 1) : 0
  return octets.slice(0, octets.length - end)
}
