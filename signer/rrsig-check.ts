/** Whether an RRset's signatures are what they should be (RFC 4035 §2.2 and §5.3.1, RFC 4034 §3.1).
 *  I1  Fields are compared with the RRset, times with a span, the signature itself is left to a SignatureSink.
 *  I2  An RRset to be signed has, of every algorithm in the DNSKEY RRset, an RRSIG (RFC 4035 §2.2). */

import {
  decodeRRset,
  type Fault,
  lowerCase,
  type NodeRRset,
  nameLengthAt,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  typeToText,
  u16,
  u32,
} from '../zones/index.ts'
import { decodeDnskey, FLAG_ZONE_KEY, keyTagOf } from './dnskey.ts'
import { labelsOfKey } from './ranges.ts'
import { decodeRrsig, RRSIG_FIXED_OCTETS, type RrsigFields, rrsigLabels } from './rrsig.ts'
import type { ZoneFaults, ZoneRule, ZoneSpot } from './zone-faults.ts'

/** A DNSKEY of the zone, as RRSIGs name it. */
export interface ZoneKey {
  readonly dnskey: Uint8Array
  readonly algorithm: number
  readonly keyTag: number
}

/** RFC 4034 §2.1.1: only keys with the zone key flag verify RRSIGs. */
export function zoneKeysOf(dnskeys: readonly Uint8Array[]): ZoneKey[] {
  const keys: ZoneKey[] = []
  for (const dnskey of dnskeys) {
    const fields = decodeDnskey(dnskey)
    if (fields === undefined || (fields.flags & FLAG_ZONE_KEY) === 0 || fields.protocol !== 3) continue
    keys.push({ dnskey, algorithm: fields.algorithm, keyTag: keyTagOf(dnskey) })
  }
  return keys
}

/** Takes signatures whose fields are right; the octets are only lent. */
export type SignatureSink = (
  spot: ZoneSpot,
  owner: Uint8Array,
  rrset: NodeRRset,
  rrsig: RrsigFields,
  keys: readonly ZoneKey[],
) => void

export interface RrsigRules {
  readonly canonicalApex: Uint8Array
  readonly keys: readonly ZoneKey[]
  /** Keys that sign already and are published later (RFC 6781 §4.1.4: an algorithm's signatures come first). */
  readonly unpublished?: readonly ZoneKey[]
  /** Unix seconds; undefined: times are not looked at. */
  readonly at: number | undefined
  readonly validForSeconds: number
}

export class RrsigChecker {
  readonly #rules: RrsigRules
  readonly #faults: ZoneFaults
  readonly #sink: SignatureSink | undefined
  readonly #algorithms: readonly number[]
  readonly #apexLabels: number
  /** Keys by algorithm and tag, as they are met. */
  readonly #keys = new Map<number, readonly ZoneKey[]>()

  /** Without a sink signatures are taken to be verified already. */
  constructor(rules: RrsigRules, faults: ZoneFaults, sink?: SignatureSink) {
    this.#rules = rules
    this.#faults = faults
    this.#sink = sink
    this.#algorithms = [...new Set(rules.keys.map(({ algorithm }) => algorithm))]
    this.#apexLabels = rrsigLabels(rules.canonicalApex)
  }

  /** The RRset that a node at that spot stores at `at`. Allocates nothing for one that is right. */
  rrset(spot: ZoneSpot, octets: Uint8Array, at: number, signed: boolean): void {
    const type = u16(octets, at)
    const signatures = octets[at + 3]!
    if (!signed || u16(octets, at + 4) === 0) {
      if (signatures > 0) {
        const what = `found ${signatures} RRSIGs over what is not signed; expected none`
        this.#faults.add('rrsig-extra', spot, type, what)
      }
      return
    }
    if (signatures === 0) {
      this.#faults.add('rrset-unsigned', spot, type, 'found no RRSIG; expected one')
      return
    }
    const labels = this.#labelsAt(spot)
    const data = at + RRSET_HEADER_OCTETS
    const first = data + u16(octets, at + 6)
    let record = first
    for (let left = signatures; left > 0; left--) {
      this.#rrsig(spot, octets, at, record, labels)
      record += RECORD_HEADER_OCTETS + u16(octets, record + 10)
    }
    for (const algorithm of this.#algorithms) {
      if (hasAlgorithm(octets, first, signatures, algorithm)) continue
      const what = `found no RRSIG of algorithm ${algorithm}, of which there is a DNSKEY`
      this.#faults.add('algorithm-incomplete', spot, type, what)
    }
  }

  /** RFC 4034 §3.1.3, of the owner at that spot. */
  #labelsAt(spot: ZoneSpot): number {
    if (spot.kind === 'hash') return this.#apexLabels + 1
    const { key } = spot
    const last = key.length - 2
    const wildcard = key[last] === 0x2a && (last === 0 || key[last - 1] === 0)
    return this.#apexLabels + labelsOfKey(key) - (wildcard ? 1 : 0)
  }

  /** The RRSIG record at `record`, over the RRset at `rrsetAt`. */
  #rrsig(spot: ZoneSpot, octets: Uint8Array, rrsetAt: number, record: number, labels: number): void {
    const rdata = record + RECORD_HEADER_OCTETS
    const end = rdata + u16(octets, record + 10)
    const type = u16(octets, rrsetAt)
    const nameOctets =
      end - rdata < RRSIG_FIXED_OCTETS ? -1 : nameLengthAt(octets, rdata + RRSIG_FIXED_OCTETS, end)
    if (nameOctets < 0 || u16(octets, rdata) !== type) {
      this.#faults.add('rrsig-malformed', spot, type, 'found an RRSIG that is not whole')
      return
    }
    const keys = this.#keysOf(octets[rdata + 2]!, u16(octets, rdata + 16))
    let right = true
    const wrong = (rule: ZoneRule, what: string): void => {
      right = false
      this.#fault(rule, spot, octets, rdata, what)
    }
    if (!this.#isApex(octets, rdata + RRSIG_FIXED_OCTETS, nameOctets))
      wrong('rrsig-signer', 'the signer is not the apex')
    if (octets[rdata + 3] !== labels) {
      wrong('rrsig-labels', `found ${octets[rdata + 3]} labels; expected ${labels}`)
    }
    const ttl = u32(octets, rrsetAt + RRSET_HEADER_OCTETS + 6)
    if (u32(octets, rdata + 4) !== ttl) {
      wrong('rrsig-original-ttl', `found the original TTL ${u32(octets, rdata + 4)}; expected ${ttl}`)
    }
    if (keys.length === 0) {
      const algorithm = octets[rdata + 2]!
      const what = `no DNSKEY has algorithm ${algorithm} and that tag`
      this.#fault('rrsig-key', spot, octets, rdata, what, this.#isSpare(algorithm) ? 'warning' : 'error')
    }
    if (this.#rules.at !== undefined) this.#times(this.#rules.at, spot, octets, rdata)
    // One fault of an RRSIG is enough, but times are no fault of the signature.
    if (this.#sink === undefined || !right || keys.length === 0) return
    const rrsig = decodeRrsig(octets.subarray(rdata, end))!
    this.#sink(spot, this.#faults.owner(spot), decodeRRset(octets, rrsetAt), rrsig, keys)
  }

  #keysOf(algorithm: number, keyTag: number): readonly ZoneKey[] {
    const name = (algorithm << 16) | keyTag
    let found = this.#keys.get(name)
    if (found === undefined) {
      const { keys, unpublished = [] } = this.#rules
      found = [...keys, ...unpublished].filter(key => key.algorithm === algorithm && key.keyTag === keyTag)
      this.#keys.set(name, found)
    }
    return found
  }

  #isApex(octets: Uint8Array, start: number, length: number): boolean {
    const { canonicalApex } = this.#rules
    if (length !== canonicalApex.length) return false
    for (let at = 0; at < length; at++) if (lowerCase[octets[start + at]!] !== canonicalApex[at]) return false
    return true
  }

  #fault(
    rule: ZoneRule,
    spot: ZoneSpot,
    octets: Uint8Array,
    rdata: number,
    what: string,
    severity: Fault['severity'] = 'error',
  ): void {
    const type = u16(octets, rdata)
    const named = `RRSIG ${typeToText(type)} by key ${u16(octets, rdata + 16)}`
    this.#faults.add(rule, spot, type, `${named}: ${what}`, severity)
  }

  /** RFC 6781 §4.1.4: while an algorithm comes or goes, its signatures are there without its DNSKEYs, and nobody uses them. */
  #isSpare(algorithm: number): boolean {
    return !this.#algorithms.includes(algorithm)
  }

  /** RFC 4034 §3.1.5: times compare by serial number arithmetic. */
  #times(at: number, spot: ZoneSpot, octets: Uint8Array, rdata: number): void {
    const { validForSeconds } = this.#rules
    const now = Math.floor(at)
    const [expiration, inception] = [u32(octets, rdata + 8), u32(octets, rdata + 12)]
    const left = (expiration - now) | 0
    if (left < 0) {
      this.#fault('rrsig-expired', spot, octets, rdata, `expired ${timeText(expiration)}`)
    } else if (left < validForSeconds) {
      const what = `expires ${timeText(expiration)}, in ${left} s; expected ${validForSeconds} s or more`
      this.#fault('rrsig-expires-soon', spot, octets, rdata, what)
    }
    if (((now - inception) | 0) < 0) {
      this.#fault('rrsig-not-yet-valid', spot, octets, rdata, `not valid before ${timeText(inception)}`)
    }
  }
}

function hasAlgorithm(octets: Uint8Array, first: number, signatures: number, algorithm: number): boolean {
  let record = first
  for (let left = signatures; left > 0; left--) {
    if (octets[record + RECORD_HEADER_OCTETS + 2] === algorithm) return true
    record += RECORD_HEADER_OCTETS + u16(octets, record + 10)
  }
  return false
}

function timeText(unix: number): string {
  return new Date(unix * 1000).toISOString().replace('.000', '')
}
