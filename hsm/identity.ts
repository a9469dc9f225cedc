/** Who is who among coordinator, nodes and dealer: an Ed25519 key signs what one says, an X25519 key opens what is sealed to
 *  one. Public halves are exchanged when the quorum is set up, and pinned.
 *
 *  I1  Whatever is sealed is also signed by its sender, and bound to sender, receiver and a context (a session's name and
 *      round): it opens nowhere else, and a copy of it in another session is refused.
 *  I2  Every seal has a key of its own, from a new X25519 pair, so a nonce cannot come twice. */

import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { hashOf } from './transcript.ts'

/** What the others know of a party. */
export interface PublicIdentity {
  readonly name: string
  /** Ed25519. */
  readonly signing: Uint8Array
  /** X25519. */
  readonly sealing: Uint8Array
}

export interface Identity {
  readonly publicIdentity: PublicIdentity
  readonly signing: KeyObject
  readonly sealing: KeyObject
}

/** The private halves, to be kept encrypted at rest: PKCS#8 DER. */
export interface IdentitySecrets {
  readonly name: string
  readonly signing: Uint8Array
  readonly sealing: Uint8Array
}

const PUBLIC_OCTETS = 32
/** RFC 8410 §4: SubjectPublicKeyInfo of Ed25519 and X25519 up to the key. */
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex')
const SPKI_X25519 = Buffer.from('302a300506032b656e032100', 'hex')
/** NIST SP 800-38D: AES-256-GCM; the nonce may be zero, since no key is used twice (I2). */
const CIPHER = 'aes-256-gcm'
const KEY_OCTETS = 32
const NONCE = Buffer.alloc(12)
const TAG_OCTETS = 16
const SIGNATURE_OCTETS = 64

export function generateIdentity(name: string): IdentitySecrets {
  const der = (key: KeyObject): Uint8Array => new Uint8Array(key.export({ format: 'der', type: 'pkcs8' }))
  const signing = der(generateKeyPairSync('ed25519').privateKey)
  return { name, signing, sealing: der(generateKeyPairSync('x25519').privateKey) }
}

export function identityOf({ name, signing, sealing }: IdentitySecrets): Identity {
  const [first, second] = [signing, sealing].map(der =>
    createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' }),
  )
  const publicIdentity = { name, signing: publicOctets(first!), sealing: publicOctets(second!) }
  return { publicIdentity, signing: first!, sealing: second! }
}

function publicOctets(key: KeyObject): Uint8Array {
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return new Uint8Array(der.subarray(der.length - PUBLIC_OCTETS))
}

/** Keys worked out from their octets; parties are few, and their messages many. */
const publicKeys = new WeakMap<Uint8Array, KeyObject>()

function publicKey(prefix: Buffer, octets: Uint8Array): KeyObject {
  const known = publicKeys.get(octets)
  if (known !== undefined) return known
  const key = createPublicKey({ key: Buffer.concat([prefix, octets]), format: 'der', type: 'spki' })
  publicKeys.set(octets, key)
  return key
}

/** A signature over a labelled hash, so that it is good for one purpose only. */
export function signAs(
  identity: Identity,
  label: string,
  ...parts: readonly (Uint8Array | string | number)[]
): Uint8Array {
  return new Uint8Array(sign(null, hashOf(`signed ${label}`, ...parts), identity.signing))
}

export function isSignedBy(
  party: Pick<PublicIdentity, 'signing'>,
  signature: Uint8Array,
  label: string,
  ...parts: readonly (Uint8Array | string | number)[]
): boolean {
  if (signature.length !== SIGNATURE_OCTETS || party.signing.length !== PUBLIC_OCTETS) return false
  return verify(null, hashOf(`signed ${label}`, ...parts), publicKey(SPKI_ED25519, party.signing), signature)
}

/** Ephemeral public key | ciphertext | tag | signature (I1, I2). */
export function sealTo(from: Identity, to: PublicIdentity, context: string, secret: Uint8Array): Uint8Array {
  const { privateKey, publicKey: ephemeral } = generateKeyPairSync('x25519')
  const shared = diffieHellman({ privateKey, publicKey: publicKey(SPKI_X25519, to.sealing) })
  const head = new Uint8Array(ephemeral.export({ format: 'der', type: 'spki' }).subarray(-PUBLIC_OCTETS))
  const names = sealNames(from.publicIdentity, to, context)
  const cipher = createCipheriv(CIPHER, sealKey(shared, head, names), NONCE, { authTagLength: TAG_OCTETS })
  cipher.setAAD(names)
  const text = Buffer.concat([cipher.update(secret), cipher.final()])
  const sealed = Buffer.concat([head, text, cipher.getAuthTag()])
  return new Uint8Array(Buffer.concat([sealed, signAs(from, 'seal', names, sealed)]))
}

/** Undefined when it was not sealed to us by that party in that context. */
export function openFrom(
  to: Identity,
  from: PublicIdentity,
  context: string,
  octets: Uint8Array,
): Uint8Array | undefined {
  const end = octets.length - SIGNATURE_OCTETS
  if (end < PUBLIC_OCTETS + TAG_OCTETS) return undefined
  const sealed = octets.subarray(0, end)
  const names = sealNames(from, to.publicIdentity, context)
  if (!isSignedBy(from, octets.subarray(end), 'seal', names, sealed)) return undefined
  const head = sealed.subarray(0, PUBLIC_OCTETS)
  try {
    const shared = diffieHellman({ privateKey: to.sealing, publicKey: publicKey(SPKI_X25519, head) })
    const key = sealKey(shared, head, names)
    const decipher = createDecipheriv(CIPHER, key, NONCE, { authTagLength: TAG_OCTETS })
    decipher.setAAD(names).setAuthTag(sealed.subarray(end - TAG_OCTETS))
    const text = decipher.update(sealed.subarray(PUBLIC_OCTETS, end - TAG_OCTETS))
    return new Uint8Array(Buffer.concat([text, decipher.final()]))
  } catch {
    return undefined
  }
}

function sealNames(from: PublicIdentity, to: PublicIdentity, context: string): Uint8Array {
  return hashOf('seal', from.name, from.signing, to.name, to.sealing, context)
}

function sealKey(shared: Uint8Array, head: Uint8Array, names: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', shared, head, names, KEY_OCTETS))
}
