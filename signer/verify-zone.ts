/** Verifying a whole signed zone, as a validator's owner would want it before publishing (RFC 4035 §5, RFC 5155 §7,
 *  RFC 8976 §4). Every fault is listed, up to the limit of a FaultList. */

import {
  canonicalName,
  type Fault,
  type Name,
  type NodeRRset,
  type Store,
  TYPE,
  typeToText,
} from '../zones/index.ts'
import { isSupported } from './algorithms.ts'
import { dsMatches } from './dnskey.ts'
import { rrsetOfType } from './previous.ts'
import { APEX_KEY, WHOLE_ZONE } from './ranges.ts'
import { BATCH_MESSAGES, type RrsigFields, ToBeSigned } from './rrsig.ts'
import { RrsigChecker, type ZoneKey, zoneKeysOf } from './rrsig-check.ts'
import type { CryptoPool } from './sign-pool.ts'
import { type LoadedKey, verifyingKey, verifySignature } from './verify-signature.ts'
import { ZoneChecker } from './zone-check.ts'
import { ZoneFaults, type ZoneSpot } from './zone-faults.ts'
import { apexNode, verifyZonemd, type ZoneRoots } from './zonemd.ts'

export interface VerifyOptions {
  readonly pool: CryptoPool
  /** Unix seconds. */
  readonly at: number
  /** Signatures must be valid for so long after `at`; default 0. */
  readonly validForSeconds?: number
  /** DS RDATA of the parent. */
  readonly ds?: readonly Uint8Array[]
}

export interface VerifyResult {
  /** Errors first; warnings are no reason to refuse. */
  readonly faults: readonly Fault[]
  readonly signatures: number
}

const APEX: ZoneSpot = { kind: 'name', key: APEX_KEY }

/** Faults of a version (as built, with or without signing). The trees must not change meanwhile. */
export async function verifyZone(
  store: Store,
  roots: ZoneRoots,
  apex: Name,
  options: VerifyOptions,
): Promise<VerifyResult> {
  const canonicalApex = canonicalName(apex)
  const faults = new ZoneFaults(canonicalApex)
  const node = apexNode(store, roots.namesRoot)
  const soa = node === undefined ? undefined : rrsetOfType(node, TYPE.SOA)
  const verifier = new SignatureVerifier(options.pool, faults)
  if (node === undefined || soa === undefined || soa.rdata.length === 0) {
    faults.add('soa-missing', APEX, TYPE.SOA, 'the zone has no SOA')
  } else {
    const dnskeys = rrsetOfType(node, TYPE.DNSKEY)?.rdata ?? []
    const nsec3param = chainOf(node, roots)
    checkApex(node, apex, dnskeys, options.ds, faults)
    if (dnskeys.length > 0) {
      const rules = {
        canonicalApex,
        keys: zoneKeysOf(dnskeys),
        at: options.at,
        validForSeconds: options.validForSeconds ?? 0,
      }
      const rrsigs = new RrsigChecker(rules, faults, verifier.take)
      const checker = new ZoneChecker({ store, roots, canonicalApex, soa, nsec3param }, faults, rrsigs)
      await checker.names(WHOLE_ZONE)
      await checker.allHashes()
      await verifier.end()
    }
    await checkDigest(store, roots, apex, faults)
  }
  return { faults: faults.list.all(), signatures: verifier.signatures }
}

/** The NSEC3PARAM of the chain; a zone with an NSEC at its apex denies with NSEC. */
export function chainOf(apex: Uint8Array, roots: ZoneRoots): Uint8Array | undefined {
  if (roots.nsec3Root === 0 && rrsetOfType(apex, TYPE.NSEC) !== undefined) return undefined
  return rrsetOfType(apex, TYPE.NSEC3PARAM)?.rdata[0]?.slice()
}

function checkApex(
  node: Uint8Array,
  apex: Name,
  dnskeys: readonly Uint8Array[],
  ds: readonly Uint8Array[] | undefined,
  faults: ZoneFaults,
): void {
  if (dnskeys.length === 0)
    faults.add('dnskey-missing', APEX, TYPE.DNSKEY, 'the zone has no DNSKEY: it is not signed')
  if (ds === undefined || ds.length === 0 || dnskeys.length === 0) return
  const signatures = rrsetOfType(node, TYPE.DNSKEY)!.signatures
  const matching = ds.filter(one => dnskeys.some(dnskey => dsMatches(apex, dnskey, one)))
  // RFC 4035 §5.2: a DS leads to a DNSKEY that signs the DNSKEY RRset.
  const leading = matching.filter(one =>
    signatures.some(rrsig => rrsig[2] === one[2] && tagOf(rrsig, 16) === tagOf(one, 0)),
  )
  if (leading.length === 0) {
    const what = 'no DS leads to a DNSKEY that signs the DNSKEY RRset'
    faults.add('ds-mismatch', APEX, TYPE.DNSKEY, what)
  } else if (matching.length < ds.length) {
    const what = `${ds.length - matching.length} of ${ds.length} DS records match no DNSKEY`
    faults.add('ds-mismatch', APEX, TYPE.DNSKEY, what, 'warning')
  }
}

function tagOf(octets: Uint8Array, at: number): number {
  return (octets[at]! << 8) | octets[at + 1]!
}

async function checkDigest(store: Store, roots: ZoneRoots, apex: Name, faults: ZoneFaults): Promise<void> {
  const outcome = await verifyZonemd(store, roots, apex)
  if (outcome.kind === 'mismatch') {
    const found = Buffer.from(outcome.found).toString('hex')
    const what = `found the digest ${found}; expected ${Buffer.from(outcome.expected).toString('hex')}`
    faults.add('zonemd-mismatch', APEX, TYPE.ZONEMD, what)
  } else if (outcome.kind === 'unusable')
    faults.add('zonemd-serial', APEX, TYPE.ZONEMD, `cannot be checked: ${outcome.why}`)
}

interface Waiting {
  readonly spot: ZoneSpot
  readonly type: number
  readonly signature: Uint8Array
  readonly keys: readonly ZoneKey[]
}

interface KeyBatch {
  readonly messages: ToBeSigned
  readonly waiting: Waiting[]
}

/** Verifies signatures in batches, a batch for each key. */
class SignatureVerifier {
  signatures = 0
  readonly #pool: CryptoPool
  readonly #faults: ZoneFaults
  readonly #loaded = new Map<Uint8Array, LoadedKey>()
  readonly #batches = new Map<Uint8Array, KeyBatch>()
  readonly #underWay: Promise<void>[] = []

  constructor(pool: CryptoPool, faults: ZoneFaults) {
    this.#pool = pool
    this.#faults = faults
  }

  readonly take = (
    spot: ZoneSpot,
    owner: Uint8Array,
    rrset: NodeRRset,
    rrsig: RrsigFields,
    keys: readonly ZoneKey[],
  ): void => {
    this.signatures++
    const { dnskey } = keys[0]!
    const batch = this.#batches.get(dnskey) ?? { messages: new ToBeSigned(), waiting: [] }
    this.#batches.set(dnskey, batch)
    const at = batch.messages.addSigned(owner, rrset.type, rrset.rdata, rrsig)
    if (at < 0) {
      this.#wrong({ spot, type: rrset.type, signature: rrsig.signature, keys })
      return
    }
    batch.waiting.push({ spot, type: rrset.type, signature: rrsig.signature.slice(), keys })
    if (batch.messages.full || batch.waiting.length === BATCH_MESSAGES) {
      this.#batches.delete(dnskey)
      this.#underWay.push(this.#verify(dnskey, batch))
    }
  }

  async end(): Promise<void> {
    for (const [dnskey, batch] of this.#batches) this.#underWay.push(this.#verify(dnskey, batch))
    this.#batches.clear()
    await Promise.all(this.#underWay)
  }

  async #verify(dnskey: Uint8Array, { messages, waiting }: KeyBatch): Promise<void> {
    const key = this.#load(dnskey)
    const signatures = waiting.map(({ signature }) => signature)
    const right = key === undefined ? undefined : await this.#pool.verify(key, messages.batch(''), signatures)
    waiting.forEach((one, index) => {
      if (right?.[index] === 1) return
      const message = messages.octets.slice(messages.offsets[index], messages.offsets[index + 1])
      if (!this.#byAnother(one, message)) this.#wrong(one)
    })
  }

  /** RFC 4034 §5.2 has key tags that are not unique. */
  #byAnother({ keys, signature }: Waiting, message: Uint8Array): boolean {
    return keys.slice(1).some(({ dnskey }) => {
      const key = this.#load(dnskey)
      return key !== undefined && verifySignature(key, message, signature)
    })
  }

  /** Undefined when the key is of an algorithm that we do not know, or malformed. */
  #load(dnskey: Uint8Array): LoadedKey | undefined {
    const known = this.#loaded.get(dnskey)
    if (known !== undefined) return known
    try {
      const key = verifyingKey(dnskey[3]!, dnskey.subarray(4))
      this.#loaded.set(dnskey, key)
      return key
    } catch {
      return undefined
    }
  }

  #wrong({ spot, type, keys }: Waiting): void {
    const algorithm = keys[0]!.dnskey[3]!
    const what = isSupported(algorithm)
      ? 'that its key does not verify'
      : `of algorithm ${algorithm}, which is not supported: it cannot be verified`
    this.#faults.add('rrsig-wrong', spot, type, `found an RRSIG over ${typeToText(type)} ${what}`)
  }
}
