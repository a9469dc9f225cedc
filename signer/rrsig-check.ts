/** Whether an RRset's signatures are what they should be (RFC 4035 §2.2 and §5.3.1, RFC 4034 §3.1).
 *  I1  Fields are compared with the RRset, times with a span, the signature itself is left to a SignatureSink.
 *  I2  An RRset to be signed has, of every algorithm in the DNSKEY RRset, an RRSIG (RFC 4035 §2.2). */

import { type NodeRRset, sameName, typeToText, u16 } from '../zones/index.ts'
import { decodeDnskey, FLAG_ZONE_KEY, keyTagOf } from './dnskey.ts'
import { decodeRrsig, type RrsigFields, rrsigLabels } from './rrsig.ts'
import type { ZoneFaults, ZoneSpot } from './zone-faults.ts'

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

/** Takes signatures whose fields are right. */
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
  readonly #sink: SignatureSink
  readonly #algorithms: readonly number[]

  constructor(rules: RrsigRules, faults: ZoneFaults, sink: SignatureSink) {
    this.#rules = rules
    this.#faults = faults
    this.#sink = sink
    this.#algorithms = [...new Set(rules.keys.map(({ algorithm }) => algorithm))]
  }

  rrset(spot: ZoneSpot, rrset: NodeRRset, signed: boolean): void {
    const { type, signatures } = rrset
    if (!signed || rrset.rdata.length === 0) {
      if (signatures.length > 0) {
        const what = `found ${signatures.length} RRSIGs over what is not signed; expected none`
        this.#faults.add('rrsig-extra', spot, type, what)
      }
      return
    }
    if (signatures.length === 0) {
      this.#faults.add('rrset-unsigned', spot, type, 'found no RRSIG; expected one')
      return
    }
    const owner = this.#faults.owner(spot).slice()
    for (const rdata of signatures) this.#rrsig(spot, owner, rrset, rdata)
    for (const algorithm of this.#algorithms) {
      if (signatures.some(rdata => rdata[2] === algorithm)) continue
      this.#faults.add(
        'algorithm-incomplete',
        spot,
        type,
        `found no RRSIG of algorithm ${algorithm}, of which there is a DNSKEY`,
      )
    }
  }

  #rrsig(spot: ZoneSpot, owner: Uint8Array, rrset: NodeRRset, rdata: Uint8Array): void {
    const rrsig = rdata.length < 19 ? undefined : decodeRrsig(rdata)
    const { type } = rrset
    if (rrsig === undefined || rrsig.typeCovered !== type) {
      this.#faults.add('rrsig-malformed', spot, type, 'found an RRSIG that is not whole')
      return
    }
    const { keys: published, unpublished = [] } = this.#rules
    const keys = [...published, ...unpublished].filter(key => {
      return key.algorithm === rrsig.algorithm && key.keyTag === rrsig.keyTag
    })
    const named = `RRSIG ${typeToText(type)} by key ${u16(rdata, 16)}`
    const labels = rrsigLabels(owner)
    const before = this.#faults.list.errors.length
    if (!sameName(rrsig.signerName, this.#rules.canonicalApex)) {
      this.#faults.add('rrsig-signer', spot, type, `${named}: the signer is not the apex`)
    }
    if (rrsig.labels !== labels) {
      this.#faults.add(
        'rrsig-labels',
        spot,
        type,
        `${named}: found ${rrsig.labels} labels; expected ${labels}`,
      )
    }
    if (rrsig.originalTtl !== rrset.ttl) {
      const what = `${named}: found the original TTL ${rrsig.originalTtl}; expected ${rrset.ttl}`
      this.#faults.add('rrsig-original-ttl', spot, type, what)
    }
    if (keys.length === 0) {
      const what = `${named}: no DNSKEY has algorithm ${rrsig.algorithm} and that tag`
      this.#faults.add('rrsig-key', spot, type, what, this.#isSpare(rrsig) ? 'warning' : 'error')
    }
    this.#times(spot, type, named, rrsig)
    // One fault of an RRSIG is enough, but times are no fault of the signature.
    if (keys.length > 0 && !this.#hasFieldFault(before)) this.#sink(spot, owner, rrset, rrsig, keys)
  }

  /** RFC 6781 §4.1.4: while an algorithm comes or goes, its signatures are there without its DNSKEYs, and nobody uses them. */
  #isSpare({ algorithm }: RrsigFields): boolean {
    return !this.#algorithms.includes(algorithm)
  }

  #hasFieldFault(before: number): boolean {
    return this.#faults.list.errors.slice(before).some(({ rule }) => FIELD_RULES.has(rule))
  }

  /** RFC 4034 §3.1.5: times compare by serial number arithmetic. */
  #times(spot: ZoneSpot, type: number, named: string, rrsig: RrsigFields): void {
    const { at, validForSeconds } = this.#rules
    if (at === undefined) return
    const now = Math.floor(at)
    const left = (rrsig.expirationUnix - now) | 0
    if (left < 0) {
      this.#faults.add('rrsig-expired', spot, type, `${named}: expired ${timeText(rrsig.expirationUnix)}`)
    } else if (left < validForSeconds) {
      const what = `${named}: expires ${timeText(rrsig.expirationUnix)}, in ${left} s; expected ${validForSeconds} s or more`
      this.#faults.add('rrsig-expires-soon', spot, type, what)
    }
    if (((now - rrsig.inceptionUnix) | 0) < 0) {
      const what = `${named}: not valid before ${timeText(rrsig.inceptionUnix)}`
      this.#faults.add('rrsig-not-yet-valid', spot, type, what)
    }
  }
}

const FIELD_RULES: ReadonlySet<string> = new Set(['rrsig-signer', 'rrsig-labels', 'rrsig-original-ttl'])

function timeText(unix: number): string {
  return new Date(unix * 1000).toISOString().replace('.000', '')
}
