/** A zone of the announced version as the answer path sees it: what every answer from it needs, made once per
 *  thread and version, and what only some need when the first of them does: of many zones few are asked for more than
 *  what is there. Not here: the tree itself (zones/store).
 *  I1  A view is good for the version it was made from; the cache is emptied when the version changes.
 *  I2  A negative block is the SOA record for negative answers and, behind it, its RRSIGs, compressed against the apex;
 *      the two octets at each of `patches` become a pointer to the apex. */

import { LRUCache } from 'lru-cache'
import { viewOf } from '../base/octets.ts'
import {
  asName,
  DENIAL_NSEC3,
  decodeRRset,
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
  zoneApexAt,
  zoneApexLength,
  zoneDenial,
  zoneIterations,
  zoneNamesRoot,
  zoneNsec3Root,
  zoneSaltAt,
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
  /** See `negativeOf`. */
  negative: NegativeBlock | undefined
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

const NO_NSEC3: Nsec3Parameters = { iterations: 0, salt: EMPTY }

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
    const view = this.#viewOf(bytes, start, names)
    this.#lastBytes = bytes
    this.#lastStart = start
    this.#last = view
    return view
  }

  /** Apart from `at`, of which a closure would make an object for each answer. */
  #viewOf(bytes: Uint8Array, start: number, names: SnapshotCursor): ZoneView {
    let perArray = this.#views.get(bytes)
    if (perArray === undefined) {
      perArray = new Map()
      this.#views.set(bytes, perArray)
    }
    let view = perArray.get(start)
    if (view === undefined) {
      if (++this.#count > VIEWS_MAX) {
        this.#clear()
        return this.#viewOf(bytes, start, names)
      }
      view = makeView(bytes, start, names, parameters => this.#intern(parameters))
      perArray.set(start, view)
    }
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
  const namesRoot = zoneNamesRoot(bytes, start)
  const found = namesRoot !== 0 && findApex(namesRoot, names)
  const denial = zoneDenial(bytes, start)
  const apexAt = zoneApexAt(bytes, start)
  const apex = asName(bytes.slice(apexAt, apexAt + zoneApexLength(bytes, start)))
  return {
    apex,
    apexKeyOctets: writeKey(apex, 0, keyScratch),
    ready: found && findSoa(names) >= 0,
    namesRoot,
    nsec3Root: zoneNsec3Root(bytes, start),
    denial,
    nsec3: denial < DENIAL_NSEC3 ? NO_NSEC3 : intern(nsec3Of(bytes, start, apexAt)),
    negative: undefined,
    apexWildcard: found && (names.bytes[names.valueStart]! & NODE_WILDCARD_CHILD) !== 0,
    nameErrorBlocks: undefined,
  }
}

function nsec3Of(bytes: Uint8Array, start: number, apexAt: number): Nsec3Parameters {
  return { iterations: zoneIterations(bytes, start), salt: bytes.slice(zoneSaltAt(start), apexAt) }
}

function findApex(namesRoot: number, names: SnapshotCursor): boolean {
  return names.find(namesRoot, keyScratch, 0, 0)
}

/** Where the SOA RRset is, in the apex node that the cursor stands on; negative when there is none. */
function findSoa({ bytes, valueStart }: SnapshotCursor): number {
  const rrset = findRRset(bytes, valueStart, TYPE_SOA)
  return rrset >= 0 && u16(bytes, rrset + 4) > 0 ? rrset : -1
}

/** I2, of a zone that is ready. The cursor is moved. */
export function negativeOf(view: ZoneView, names: SnapshotCursor): NegativeBlock {
  if (view.negative === undefined) {
    findApex(view.namesRoot, names)
    view.negative = negativeBlock(view.apex, names.bytes, findSoa(names))
  }
  return view.negative
}

/** The SOA of the apex node as negative answers carry it. RFC 2308 §5: its TTL there is the lesser of its own and
 *  MINIMUM; RFC 4034 §3: its RRSIG has the same TTL as itself. */
function negativeBlock(apex: Name, octets: Uint8Array, rrset: number): NegativeBlock {
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
