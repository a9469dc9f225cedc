/** Who signs what until when (RFC 4035 §2.2, RFC 7344 §4.1, RFC 6781 §4.4.2.2), and which old signatures serve again.
 *  I1  DNSKEY, CDS and CDNSKEY are signed by the keys that sign keys, all other RRsets by those that sign the zone.
 *  I2  A signature is used again only when its RRset, TTL and key are the same and more than `refreshSeconds` is left.
 *      A key is the same when its DNSKEY is; where two keys share algorithm and tag, none of their signatures is reused.
 *  I3  Expirations depend on seed, owner and type alone, so that a zone's signatures never come due all at once and two
 *      builds agree. */

import { canonicalName, compareOctets, type Name, type NodeRRset, TYPE, u16, u32 } from '../zones/index.ts'
import type { SigningKey, SigningSettings } from './build-types.ts'
import { dnskeyRdata, keyTagOf } from './dnskey.ts'
import { Fingerprint } from './fingerprint.ts'
import type { RrsigSigner } from './rrsig.ts'
import { keyFingerprint } from './signature-pack.ts'
import { type LoadedKey, verifyingKey } from './verify-signature.ts'

export const VALIDITY_SECONDS_DEFAULT: number = 14 * 86400
export const INCEPTION_OFFSET_SECONDS_DEFAULT = 3600
const DEADLINE_SECONDS_DEFAULT = 300
/** RFC 4034 §3.1.5: times compare by serial number arithmetic. */
const TIME_HALF = 0x80000000

/** A key at work. */
export interface Signer extends RrsigSigner {
  readonly key: SigningKey
  readonly dnskey: Uint8Array
  readonly fingerprint: number
  readonly verifying: LoadedKey
  /** No other key of the zone has its algorithm and tag (I2). */
  readonly unique: boolean
  /** And so it was in the previous version. */
  reusable: boolean
}

export class SigningPlan {
  readonly settings: SigningSettings
  readonly keySigners: readonly Signer[]
  readonly zoneSigners: readonly Signer[]
  readonly deadlineUnix: number
  readonly inceptionUnix: number
  readonly refreshSeconds: number
  readonly #validitySeconds: number
  readonly #jitterSeconds: number
  readonly #seed: Uint8Array
  readonly #fingerprint = new Fingerprint()

  constructor(settings: SigningSettings, apex: Name) {
    this.settings = settings
    const signerName = canonicalName(apex)
    const signers = settings.keys.map(key => makeSigner(key, settings.keys, signerName))
    this.keySigners = signers.filter(({ key }) => key.signsKeys)
    this.zoneSigners = signers.filter(({ key }) => key.signsZone)
    this.#validitySeconds = settings.signatureValiditySeconds ?? VALIDITY_SECONDS_DEFAULT
    this.refreshSeconds = settings.refreshSeconds ?? Math.floor(this.#validitySeconds / 3)
    this.#jitterSeconds = settings.jitterSeconds ?? Math.floor(this.#validitySeconds / 7)
    this.deadlineUnix = settings.deadlineUnix ?? settings.now + DEADLINE_SECONDS_DEFAULT
    const offset = settings.inceptionOffsetSeconds ?? INCEPTION_OFFSET_SECONDS_DEFAULT
    this.inceptionUnix = settings.inceptionUnix ?? Math.floor(settings.now) - offset
    this.#seed = new TextEncoder().encode(settings.seed)
  }

  /** I1. */
  signersOf(type: number, apex: boolean): readonly Signer[] {
    return apex && isKeyType(type) ? this.keySigners : this.zoneSigners
  }

  /** Whether signatures of key RRsets may have to be approved first. */
  get mayWait(): boolean {
    return this.keySigners.some(({ key }) => key.store.capabilities().latency === 'quorum')
  }

  /** I3. */
  expirationUnix(key: Uint8Array, type: number): number {
    const { now, expirationUnix } = this.settings
    if (expirationUnix !== undefined) return expirationUnix
    const { low } = this.#fingerprint.reset().octets(this.#seed).octets(key).number(type)
    const jitter = (low >>> 0) % (this.#jitterSeconds + 1)
    return Math.floor(now) + this.#validitySeconds - jitter
  }

  /** I2, the time: the RRSIG is valid, and not due. */
  isFresh(rrsig: Uint8Array): boolean {
    const { now, expirationUnix, inceptionUnix } = this.settings
    if (expirationUnix !== undefined && u32(rrsig, 8) !== expirationUnix) return false
    if (inceptionUnix !== undefined && u32(rrsig, 12) !== inceptionUnix) return false
    const left = (u32(rrsig, 8) - Math.floor(now)) | 0
    const age = (Math.floor(now) - u32(rrsig, 12)) >>> 0
    return left > this.refreshSeconds && age < TIME_HALF
  }

  /** Which keys the previous version's signatures may be by. */
  takePreviousKeys(dnskeys: readonly Uint8Array[]): void {
    for (const signer of [...this.keySigners, ...this.zoneSigners]) {
      const alike = dnskeys.filter(dnskey => isBy(signer, dnskey))
      signer.reusable = signer.unique && alike.length === 1 && compareOctets(alike[0]!, signer.dnskey) === 0
    }
  }

  /** DNSKEY RDATA of keys that sign and are not in the zone yet. */
  unpublishedKeys(): Uint8Array[] {
    const signers = [...this.keySigners, ...this.zoneSigners]
    return signers.filter(({ key }) => !key.published).map(({ dnskey }) => dnskey)
  }

  /** DNSKEY RDATA of all keys that are at hand. */
  heldKeys(): Uint8Array[] {
    return this.settings.keys.map(({ info }) => dnskeyRdata(info))
  }

  /** The fingerprint of the key that made an RRSIG of this version. */
  keyOf(rrsig: Uint8Array): number | undefined {
    for (const signers of [this.zoneSigners, this.keySigners]) {
      for (const signer of signers) if (madeBy(rrsig, signer) && signer.unique) return signer.fingerprint
    }
    return undefined
  }
}

/** RFC 4035 §2.2, RFC 7344 §4.1: at the apex these are signed by the keys of the chain to the parent. */
export function isKeyType(type: number): boolean {
  return type === TYPE.DNSKEY || type === TYPE.CDS || type === TYPE.CDNSKEY
}

function makeSigner(key: SigningKey, keys: readonly SigningKey[], signerName: Name): Signer {
  const { algorithm, keyTag, publicKey } = key.info
  const dnskey = dnskeyRdata(key.info)
  const unique =
    keys.filter(({ info }) => info.algorithm === algorithm && info.keyTag === keyTag).length === 1
  return {
    key,
    algorithm,
    keyTag,
    signerName,
    dnskey,
    fingerprint: keyFingerprint(dnskey),
    verifying: verifyingKey(algorithm, publicKey),
    unique,
    reusable: false,
  }
}

export function madeBy(rrsig: Uint8Array, signer: RrsigSigner): boolean {
  return rrsig[2] === signer.algorithm && u16(rrsig, 16) === signer.keyTag
}

/** Whether RRSIGs of that DNSKEY would look like the signer's. */
function isBy(signer: Signer, dnskey: Uint8Array): boolean {
  return dnskey[3] === signer.algorithm && keyTagOf(dnskey) === signer.keyTag
}

/** Whether two RRsets are octet for octet the same, TTL included: signatures of one then serve the other. */
export function sameRRset(a: NodeRRset, b: NodeRRset): boolean {
  if (a.type !== b.type || a.ttl !== b.ttl || a.rdata.length !== b.rdata.length) return false
  return a.rdata.every((rdata, index) => compareOctets(rdata, b.rdata[index]!) === 0)
}
