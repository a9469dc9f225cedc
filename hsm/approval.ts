/** Operators' word for what a key of keys signs: an Ed25519 signature over exactly one RRset of one key and a window of time.
 *
 *    statement = [version, zone, key, hash of the RRset, window from, window to, expires]      (CBOR)
 *
 *  I1  The hash is of the whole to-be-signed octets without their times, so an approval fits one RRset only; the times of
 *      the signature must lie in the window.
 *  I2  Each node counts approvals itself, by operators its own policy names, each operator once.
 *  I3  An approval may serve several times while it lasts: it allows the same RRset, nothing else. */

import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { decode, encode } from 'cborg'
import { z } from 'zod'
import type { Approval } from './messages.ts'
import { type ToSign, writeToSign } from './to-be-signed.ts'
import { hashOf } from './transcript.ts'

export interface ApprovedWindow {
  /** The zone's name, absolute and in lower case. */
  readonly zone: string
  /** Id of the key. */
  readonly key: string
  readonly rrset: Uint8Array
  /** Inception and expiration of a signature lie in here. */
  readonly fromUnix: number
  readonly toUnix: number
  /** The approval itself is good until then. */
  readonly expiresUnix: number
}

const VERSION = 1
const unix = z.number().int().min(0).max(0xffffffff)
const hash = z.custom<Uint8Array>(value => value instanceof Uint8Array && value.length === 32)
const statementSchema = z.tuple([z.literal(VERSION), z.string(), z.string(), hash, unix, unix, unix])
/** RFC 8410 §4: SubjectPublicKeyInfo of Ed25519 up to the key. */
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex')

/** What an approval is of: all that is to be signed but the times (I1). */
export function rrsetHash(toSign: ToSign): Uint8Array {
  return hashOf('approved rrset', writeToSign({ ...toSign, inceptionUnix: 0, expirationUnix: 0 }))
}

/** At the operator's. */
export function approve(operator: KeyObject, window: ApprovedWindow): Approval {
  const { zone, key, rrset, fromUnix, toUnix, expiresUnix } = window
  const statement = encode([VERSION, zone, key, rrset, fromUnix, toUnix, expiresUnix])
  const der = createPublicKey(operator).export({ format: 'der', type: 'spki' })
  return {
    operator: new Uint8Array(der.subarray(SPKI_ED25519.length)),
    statement,
    signature: new Uint8Array(sign(null, signedOctets(statement), operator)),
  }
}

/** What the approval says; undefined when the operator did not sign it, or it says nothing. */
export function readApproval({ operator, statement, signature }: Approval): ApprovedWindow | undefined {
  if (operator.length !== 32) return undefined
  const key = createPublicKey({ key: Buffer.concat([SPKI_ED25519, operator]), format: 'der', type: 'spki' })
  if (!verify(null, signedOctets(statement), key, signature)) return undefined
  try {
    const parsed = statementSchema.safeParse(decode(statement, { strict: true, allowIndefinite: false })).data
    if (parsed === undefined) return undefined
    const [, zone, keyId, rrset, fromUnix, toUnix, expiresUnix] = parsed
    return { zone, key: keyId, rrset, fromUnix, toUnix, expiresUnix }
  } catch {
    return undefined
  }
}

/** How many of these operators approve of signing this with that key now (I2). */
export function approvalsOf(
  approvals: readonly Approval[],
  operators: readonly Uint8Array[],
  wanted: { readonly zone: string; readonly key: string; readonly toSign: ToSign; readonly nowUnix: number },
): number {
  const { toSign, nowUnix } = wanted
  const rrset = rrsetHash(toSign)
  const fits = (approval: Approval): boolean => {
    const window = readApproval(approval)
    if (window === undefined || window.zone !== wanted.zone || window.key !== wanted.key) return false
    if (Buffer.compare(window.rrset, rrset) !== 0 || nowUnix > window.expiresUnix) return false
    return toSign.inceptionUnix >= window.fromUnix && toSign.expirationUnix <= window.toUnix
  }
  return operators.filter(operator =>
    approvals.some(approval => Buffer.compare(approval.operator, operator) === 0 && fits(approval)),
  ).length
}

function signedOctets(statement: Uint8Array): Uint8Array {
  return hashOf('approval', statement)
}
