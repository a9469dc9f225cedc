/** A zone of the announced version as the answer path sees it: what every answer from it needs, made once per
 *  thread and version. Not here: the tree itself (zones/store).
 *  I1  A view is good for the version it was made from; the cache is emptied when the version changes.
 *  I2  `negative` is the SOA record for negative answers and, behind it, its RRSIGs, compressed against the apex; the
 *      two octets at each of `negativePatches` become a pointer to the apex. */

import { LRUCache } from 'lru-cache'
import { viewOf } from '../base/octets.ts'
import {
  decodeRRset,
  decodeZoneRecord,
  encodeNode,
  findRRset,
  firstRRsetAt,
  isAtOrBelow,
  KEY_OCTETS_MAX,
  type Name,
  NODE_APEX,
  NODE_WILDCARD_CHILD,
  nameLengthAt,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  u16,
  u32,
  writeKey,
} from '../zones/reading.ts'
import type { SnapshotCursor } from './answerer.ts'
import type { Nsec3Parameters } from './nsec3-hash.ts'
import type { ReadyBlock } from './ready-block.ts'

const TYPE_SOA = 6
const EMPTY = new Uint8Array(0)

export interface ZoneView {
  readonly apex: Name
  readonly apexKeyOctets: number
  /** There is a version to answer from. */
  readonly ready: boolean
  readonly namesRoot: number
  readonly nsec3Root: number
  /** 0 none, 1 NSEC, 2 NSEC3, 3 NSEC3 with opt-out. */
  readonly denial: number
  readonly nsec3: Nsec3Parameters
  /** I2. */
  readonly negative: NegativeBlock
  /** There is a wildcard right below the apex. */
  readonly apexWildcard: boolean
  /** What proves that names right below the apex do not exist, besides what covers them: made when first needed, and
   *  empty when it cannot be. */
  nameErrorBlocks: readonly ReadyBlock[] | undefined
}

export interface NegativeBlock {
  readonly octets: Uint8Array
  readonly view: DataView
  readonly patches: readonly number[]
  /** Octets and patches of the SOA record alone, and the RRSIG records behind it. */
  readonly soaOctets: number
  readonly soaPatches: number
  readonly signatures: number
  /** The same RRset as a node, uncompressed, for owners that must be written out. */
  readonly node: Uint8Array
  readonly rrset: number
}

const NO_NEGATIVE: NegativeBlock = {
  octets: EMPTY,
  view: viewOf(EMPTY),
  patches: [],
  soaOctets: 0,
  soaPatches: 0,
  signatures: 0,
  node: EMPTY,
  rrset: 0,
}

/** Views kept before the cache starts again: as many as zones that one version answers from, up to this. */
const VIEWS_MAX = 65_536

/** Different salts and iterations remembered at a time; zones usually share one (RFC 9276 §3.1). */
const NSEC3_PARAMETERS_MAX = 1024

export class ZoneViews {
  #version = -1
  #views = new Map<Uint8Array, Map<number, ZoneView>>()
  #count = 0
  #lastBytes: Uint8Array = EMPTY
  #lastStart = -1
  #last: ZoneView | undefined
  readonly #nsec3 = new LRUCache<string, Nsec3Parameters>({ max: NSEC3_PARAMETERS_MAX })

  /** The version that views are asked for from now on. */
  use(version: number): void {
    if (version === this.#version) return
    this.#version = version
    this.#clear()
  }

  /** The view of the catalogue entry that the cursor stands on. */
  at(catalogue: SnapshotCursor, names: SnapshotCursor): ZoneView {
    const bytes = catalogue.bytes
    const start = catalogue.valueStart
    if (this.#last !== undefined && start === this.#lastStart && bytes === this.#lastBytes) return this.#last
    let perArray = this.#views.get(bytes)
    if (perArray === undefined) {
      perArray = new Map()
      this.#views.set(bytes, perArray)
    }
    let view = perArray.get(start)
    if (view === undefined) {
      if (++this.#count > VIEWS_MAX) {
        this.#clear()
        return this.at(catalogue, names)
      }
      view = makeView(bytes, start, names, parameters => this.#intern(parameters))
      perArray.set(start, view)
    }
    this.#lastBytes = bytes
    this.#lastStart = start
    this.#last = view
    return view
  }

  /** One object for equal parameters, over versions too, so that hashes stay cached (nsec3-hash.ts I2). */
  #intern(parameters: Nsec3Parameters): Nsec3Parameters {
    const name = `${parameters.iterations} ${Buffer.from(parameters.salt).toString('hex')}`
    const known = this.#nsec3.get(name)
    if (known !== undefined) return known
    this.#nsec3.set(name, parameters)
    return parameters
  }

  #clear(): void {
    this.#views.clear()
    this.#count = 0
    this.#last = undefined
    this.#lastBytes = EMPTY
    this.#lastStart = -1
  }
}

const keyScratch = new Uint8Array(KEY_OCTETS_MAX)

function makeView(
  bytes: Uint8Array,
  start: number,
  names: SnapshotCursor,
  intern: (parameters: Nsec3Parameters) => Nsec3Parameters,
): ZoneView {
  const record = decodeZoneRecord(bytes, start)
  const found = record.namesRoot !== 0 && names.find(record.namesRoot, keyScratch, 0, 0)
  const negative = found ? negativeBlock(record.apex, names.bytes, names.valueStart) : undefined
  return {
    apex: record.apex,
    apexKeyOctets: writeKey(record.apex, 0, keyScratch),
    ready: negative !== undefined,
    namesRoot: record.namesRoot,
    nsec3Root: record.nsec3Root,
    denial: record.denial,
    nsec3: intern({ iterations: record.nsec3.iterations, salt: record.nsec3.salt.slice() }),
    negative: negative ?? NO_NEGATIVE,
    apexWildcard: found && (names.bytes[names.valueStart]! & NODE_WILDCARD_CHILD) !== 0,
    nameErrorBlocks: undefined,
  }
}

/** The SOA of the apex node as negative answers carry it. RFC 2308 §5: its TTL there is the lesser of its own and
 *  MINIMUM; RFC 4034 §3: its RRSIG has the same TTL as itself. Undefined when the node has no SOA. */
function negativeBlock(apex: Name, octets: Uint8Array, node: number): NegativeBlock | undefined {
  const rrset = findRRset(octets, node, TYPE_SOA)
  if (rrset < 0 || u16(octets, rrset + 4) === 0) return undefined
  const data = rrset + RRSET_HEADER_OCTETS
  const rdata = data + RECORD_HEADER_OCTETS
  const rdataEnd = rdata + u16(octets, data + 10)
  const ttl = Math.min(u32(octets, data + 6), u32(octets, rdataEnd - 4))
  const out: number[] = []
  const patches: number[] = [0]
  putHeader(out, octets, data, ttl)
  const second = putNameBelowApex(out, patches, octets, rdata, apex)
  const numbers = putNameBelowApex(out, patches, octets, second, apex)
  out.push(...octets.subarray(numbers, rdataEnd))
  const rdataOctets = out.length - RECORD_HEADER_OCTETS
  out[10] = rdataOctets >> 8
  out[11] = rdataOctets & 255
  const soaOctets = out.length
  const soaPatches = patches.length
  const signatures = octets[rrset + 3]!
  let at = data + u16(octets, rrset + 6)
  for (let left = signatures; left > 0; left--) {
    patches.push(out.length)
    putHeader(out, octets, at, ttl)
    const end = at + RECORD_HEADER_OCTETS + u16(octets, at + 10)
    out.push(...octets.subarray(at + RECORD_HEADER_OCTETS, end))
    at = end
  }
  const soa = { ...decodeRRset(octets, rrset), ttl }
  const nodeOctets = encodeNode({ flags: NODE_APEX, cutLabels: 0, rrsets: [soa] })
  const block = Uint8Array.from(out)
  return {
    octets: block,
    view: viewOf(block),
    patches,
    soaOctets,
    soaPatches,
    signatures,
    node: nodeOctets,
    rrset: firstRRsetAt(nodeOctets, 0),
  }
}

/** A stored record's twelve octets with another TTL. */
function putHeader(out: number[], octets: Uint8Array, at: number, ttl: number): void {
  out.push(...octets.subarray(at, at + 6), ttl >>> 24, (ttl >>> 16) & 255, (ttl >>> 8) & 255, ttl & 255)
  out.push(octets[at + 10]!, octets[at + 11]!)
}

/** The name at `start`, with a place for a pointer where the apex begins; returns the offset behind it. */
function putNameBelowApex(
  out: number[],
  patches: number[],
  octets: Uint8Array,
  start: number,
  apex: Name,
): number {
  const end = start + nameLengthAt(octets, start)
  // The root's own zero octet is shorter than a pointer to it.
  if (apex.length === 1 || !isAtOrBelow(octets.subarray(start, end), apex)) {
    out.push(...octets.subarray(start, end))
    return end
  }
  out.push(...octets.subarray(start, end - apex.length))
  patches.push(out.length)
  out.push(0, 0)
  return end
}
