/** A key of a quorum, as everybody may know it: which zone and role it is for, who holds shares, and the scheme's public part.
 *  One deterministic encoding (RFC 8949 §4.2), so that its hash names it.
 *
 *  I1  A record is read only when writing it anew gives the same octets.
 *  I2  The id is the hash of the parts that never change: zone, role, algorithm, public key. */

import { decode, encode } from 'cborg'
import { z } from 'zod'
import { canonicalName, nameFromText, nameToText } from '../zones/index.ts'
import type { FrostQuorumKey } from './frost.ts'
import { integerOf, octetsOf } from './integers.ts'
import type { QuorumAlgorithm } from './messages.ts'
import { checkQuorumSize, NODES_MAX } from './quorum-size.ts'
import type { RsaQuorumKey } from './rsa.ts'
import { hashOf } from './transcript.ts'

export type KeyRole = 'ksk' | 'zsk' | 'csk'

export interface QuorumKeyRecord {
  /** The zone's name, absolute and in lower case. */
  readonly zone: string
  readonly role: KeyRole
  readonly algorithm: QuorumAlgorithm
  readonly createdUnix: number
  /** Counts sharings of the key: 1 when it was made, one more after each refresh and reshare. */
  readonly epoch: number
  /** Names of the nodes by index, from 1 at [0]. */
  readonly members: readonly string[]
  readonly scheme: QuorumScheme
}

export type QuorumScheme =
  | { readonly kind: 'frost'; readonly key: FrostQuorumKey }
  | { readonly kind: 'rsa'; readonly key: RsaQuorumKey }

const NAME_MAX = 255
const octets = z.custom<Uint8Array>(value => value instanceof Uint8Array && value.length <= 1024)
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)
const index = z.number().int().min(1).max(NODES_MAX)
const list = z.array(octets).max(NODES_MAX)
const head = [
  z.string().max(1024),
  z.enum(['ksk', 'zsk', 'csk']),
  z.union([z.literal(8), z.literal(10), z.literal(15), z.literal(16)]),
  count,
  count,
  z.array(z.string().max(NAME_MAX)).min(2).max(NODES_MAX),
  index,
] as const
const frostRecord = z.tuple([z.literal('frost'), ...head, octets, list])
const rsaRecord = z.tuple([z.literal('rsa'), ...head, octets, octets, octets, count, octets, list])

export function encodeKeyRecord(record: QuorumKeyRecord): Uint8Array {
  const { zone, role, algorithm, createdUnix, epoch, members, scheme } = record
  const first = [scheme.kind, zone, role, algorithm, createdUnix, epoch, [...members], scheme.key.threshold]
  if (scheme.kind === 'frost') return encode([...first, scheme.key.publicKey, [...scheme.key.verifiers]])
  const { modulus, publicExponent, multiplier, shareBits, base, verifiers } = scheme.key
  const integers = [modulus, publicExponent, multiplier].map(value => octetsOf(value))
  return encode([...first, ...integers, shareBits, octetsOf(base), verifiers.map(value => octetsOf(value))])
}

/** Undefined for octets that are no record (I1). */
export function decodeKeyRecord(octets: Uint8Array): QuorumKeyRecord | undefined {
  try {
    const value: unknown = decode(octets, { strict: true, allowIndefinite: false })
    const record = fromFrost(value) ?? fromRsa(value)
    if (record === undefined || Buffer.compare(encodeKeyRecord(record), octets) !== 0) return undefined
    checkQuorumSize({ threshold: record.scheme.key.threshold, nodes: record.members.length })
    if (new Set(record.members).size !== record.members.length) return undefined
    return nameToText(canonicalName(nameFromText(record.zone))) === record.zone ? record : undefined
  } catch {
    return undefined
  }
}

function fromFrost(value: unknown): QuorumKeyRecord | undefined {
  const parsed = frostRecord.safeParse(value).data
  if (parsed === undefined) return undefined
  const [, zone, role, algorithm, createdUnix, epoch, members, threshold, publicKey, verifiers] = parsed
  const suite = algorithm === 15 ? 'ed25519' : algorithm === 16 ? 'ed448' : undefined
  if (suite === undefined || verifiers.length !== members.length) return undefined
  const key: FrostQuorumKey = { suite, threshold, nodes: members.length, publicKey, verifiers }
  return { zone, role, algorithm, createdUnix, epoch, members, scheme: { kind: 'frost', key } }
}

function fromRsa(value: unknown): QuorumKeyRecord | undefined {
  const parsed = rsaRecord.safeParse(value).data
  if (parsed === undefined) return undefined
  const [, zone, role, algorithm, createdUnix, epoch, members, threshold, ...rest] = parsed
  const [modulus, exponent, multiplier, shareBits, base, verifiers] = rest
  if (algorithm === 15 || algorithm === 16 || verifiers.length !== members.length) return undefined
  const key: RsaQuorumKey = {
    modulus: integerOf(modulus),
    publicExponent: integerOf(exponent),
    threshold,
    nodes: members.length,
    multiplier: integerOf(multiplier),
    shareBits,
    base: integerOf(base),
    verifiers: verifiers.map(integerOf),
  }
  return { zone, role, algorithm, createdUnix, epoch, members, scheme: { kind: 'rsa', key } }
}

/** I2: 16 octets in hex. */
export function quorumKeyId({ zone, role, algorithm, scheme }: QuorumKeyRecord): string {
  const publicPart =
    scheme.kind === 'frost' ? [scheme.key.publicKey] : [scheme.key.modulus, scheme.key.publicExponent]
  return Buffer.from(hashOf('key id', zone, role, algorithm, ...publicPart).subarray(0, 16)).toString('hex')
}

/** The DNSKEY's public key field: RFC 8080 §3, or RFC 3110 §2. */
export function dnskeyField({ scheme }: QuorumKeyRecord): Uint8Array {
  if (scheme.kind === 'frost') return scheme.key.publicKey
  const exponent = octetsOf(scheme.key.publicExponent)
  // RFC 3110 §2: one octet of length, since exponents of ours are short.
  return Uint8Array.of(exponent.length, ...exponent, ...octetsOf(scheme.key.modulus))
}
