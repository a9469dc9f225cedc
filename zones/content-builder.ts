/** Records on their way into a content tree: those of one owner are collected, and its node is written when another
 *  comes. Owners in canonical order go to the tree at once; the others wait until all are there.
 *
 *    records ──NodeStream────▶ node ─┬─ behind all before ───────────────▶ TreeDraft
 *        └─(out of order)─OwnerRecords┘└─ else ──WaitingOwners──(at the end)──▶
 *
 *  I1  content.ts I1 to I3 hold whatever the order.
 *  I2  A node is in one place: in the stream, or, when its records do not come in order, in `#records`. */

import { atOnce, type Place, type Steps } from '../base/index.ts'
import type { ContentOutcome, ZoneContent } from './content.ts'
import type { FaultList } from './fault.ts'
import { KeyGap } from './key-gap.ts'
import { RECORDS_PER_RRSET_USUAL } from './limits.ts'
import {
  compareOctets,
  isAtOrBelow,
  KEY_OCTETS_MAX,
  keyOf,
  NAME_OCTETS_MAX,
  type Name,
  nameToText,
  rootName,
  writeKeyOfLabels,
  writeLabelsOfKey,
} from './name.ts'
import {
  findRRset,
  joinNodes,
  NODE_CASE,
  NODE_HEADER_OCTETS,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  u16,
  u32,
} from './node.ts'
import { NodeStream } from './node-stream.ts'
import { OwnerRecords, type ReportRecord } from './owner-records.ts'
import { RDATA_SCRATCH_OCTETS } from './rdata-parse.ts'
import { faultOf, type RuleCode } from './rules.ts'
import type { TreeDraft } from './store/draft.ts'
import { TYPE, typeToText } from './types.ts'
import { PLACE_OCTETS, WaitingOwners } from './waiting-owners.ts'

const nothing: Uint8Array = new Uint8Array(0)
const OWNERS_A_STEP = 2048

/** What a builder works with, for the next one when it has ended: dozens of objects that thousands of small zones would
 *  make anew. */
interface Rooms {
  readonly stream: NodeStream
  readonly records: OwnerRecords
  readonly waiting: WaitingOwners
  /** The greatest key in the tree. */
  readonly last: Uint8Array
  /** The node that goes to the tree next. */
  node: Uint8Array
}

/** More than one only where zones are read while others are. */
const spare: Rooms[] = []

function newRooms(waiting: WaitingOwners = new WaitingOwners()): Rooms {
  const last = new Uint8Array(KEY_OCTETS_MAX)
  return { stream: new NodeStream(), records: new OwnerRecords(), waiting, last, node: nothing }
}
/** Behind a node that is written in place there is always room for one more record and the places of all. */
const STREAM_PLACES_OCTETS: number = PLACE_OCTETS * RECORDS_PER_RRSET_USUAL
const STREAM_ROOM_OCTETS: number = 2 * NAME_OCTETS_MAX + RDATA_SCRATCH_OCTETS + STREAM_PLACES_OCTETS

export class ContentBuilder {
  begun = false
  /** Turns the number that `add` was given with a record into its place. */
  placeOf: (place: number) => Place = () => ({})
  readonly #tree: TreeDraft
  readonly #source: number
  readonly #faults: FaultList
  /** The owner's node where it is written as records come, at the end of what waits; once that is not possible any more,
   *  `#records` collects them (I2). */
  readonly #stream: NodeStream
  #streams = false
  readonly #records: OwnerRecords
  readonly #waiting: WaitingOwners
  #apex: Name = rootName
  #apexKey: Uint8Array = nothing
  readonly #rooms: Rooms
  /** The rooms are for others when this has ended. */
  #returns: boolean
  /** The owner whose records are being collected. */
  #owner: Uint8Array = nothing
  /** The greatest key in the tree, relative; none before the first. */
  readonly #last: Uint8Array
  #lastOctets = -1
  /** It is not in the zone; whether this was told. */
  #outside = false
  #outsideTold = false
  #recordCount = 0
  #soaSeen = false
  #presigned = false
  /** There is something to report of the records that are to wait. */
  #troubled = false
  readonly #noteTrouble: ReportRecord = () => {
    this.#troubled = true
  }
  readonly #report: ReportRecord = (rule, what, type, index) =>
    this.#fault(rule, what, type, this.#records.places[index]!)

  /** `waiting`: of its own, for tests. */
  constructor(tree: TreeDraft, source: number, faults: FaultList, waiting?: WaitingOwners) {
    this.#tree = tree
    this.#returns = waiting === undefined
    this.#rooms = waiting === undefined ? (spare.pop() ?? newRooms()) : newRooms(waiting)
    this.#stream = this.#rooms.stream
    this.#records = this.#rooms.records
    this.#waiting = this.#rooms.waiting
    this.#last = this.#rooms.last
    this.#source = source
    this.#faults = faults
  }

  begin(apex: Name): void {
    this.begun = true
    this.#apex = apex
    this.#apexKey = keyOf(apex)
  }

  /** Whether records are being collected for this owner, spelled like this. */
  isOwner(owner: Uint8Array): boolean {
    return compareOctets(owner, this.#owner) === 0
  }

  /** Records of another owner follow, whose octets stay until the next call. */
  enter(owner: Name): void {
    this.#flush()
    if (this.#waiting.full) atOnce(this.#writeWaiting())
    this.#owner = owner
    this.#outside = !isAtOrBelow(owner, this.#apex)
    this.#outsideTold = false
    this.#streams = !this.#outside
    if (this.#streams) this.#openNode()
  }

  #openNode(): void {
    const waiting = this.#waiting
    const owner = this.#owner
    const labels = owner.length - this.#apex.length
    waiting.open(STREAM_ROOM_OCTETS)
    waiting.keyEnd = waiting.keyStart + writeKeyOfLabels(owner, 0, labels, waiting.octets, waiting.keyStart)
    const spelling = hasCapital(owner, labels) ? labels : 0
    this.#stream.begin(waiting.octets, waiting.keyEnd, this.#source, owner, spelling)
  }

  /** Where in `octets` the owner's next RDATA, which is of that type, is best read to; −1: anywhere. */
  rdataAt(type: number): number {
    return this.#streams ? this.#stream.rdataAt(type) : -1
  }

  get octets(): Uint8Array {
    return this.#stream.octets
  }

  /** Takes a record of the owner; octets that are not where `rdataAt` said are copied. */
  add(type: number, ttl: number, rdata: Uint8Array, start: number, end: number, place: number): void {
    if (this.#outside) {
      this.#tellOutside(type, place)
      return
    }
    if (type === TYPE.SOA && this.#owner.length > this.#apex.length) {
      this.#fault('soa-below-apex', 'SOA below the apex; expected SOA at the apex only', type, place)
      return
    }
    if (type === TYPE.SOA) this.#soaSeen = true
    else if (type === TYPE.RRSIG || type === TYPE.NSEC || type === TYPE.NSEC3) this.#presigned = true
    if (this.#streams && this.#streamed(type, ttl, rdata, start, end, place)) return
    this.#records.add(type, ttl, rdata, start, end, place)
  }

  #tellOutside(type: number, place: number): void {
    if (this.#outsideTold) return
    this.#outsideTold = true
    const what = `a record outside of the zone ${nameToText(this.#apex)}; it is left out`
    this.#fault('out-of-zone', what, type, place)
  }

  /** Adds the record to the node in place; where that is not possible what is there goes to `#records`. */
  #streamed(
    type: number,
    ttl: number,
    rdata: Uint8Array,
    start: number,
    end: number,
    place: number,
  ): boolean {
    const stream = this.#stream
    const to = stream.rdataAt(type)
    if (rdata !== stream.octets) stream.octets.set(rdata.subarray(start, end), to)
    const taken = stream.add(type, ttl, to + end - start, place)
    this.#streams = taken && stream.octets.length - stream.end >= RDATA_SCRATCH_OCTETS + STREAM_PLACES_OCTETS
    if (!this.#streams) this.#records.addNode(stream.octets, stream.start, record => stream.places[record]!)
    return taken
  }

  /** The owner's records are all there, for now. */
  #flush(): void {
    const stream = this.#stream
    const waiting = this.#waiting
    const records = this.#records
    if (records.count > 0) {
      records.sort()
      if (this.#isBehindLast()) this.#write()
      else this.#wait()
      records.clear()
    } else if (this.#streams && stream.count > 0) {
      if (this.#isBehindLast()) {
        const { octets, keyStart, keyEnd } = waiting
        this.#tree.putRange(octets, keyStart, keyEnd, octets, keyEnd, stream.end)
        this.#recordCount += stream.count
      } else waiting.close(stream.end, stream.count, stream.places, false)
    }
    this.#streams = false
  }

  /** Whether the open entry's key is greater than all in the tree; then it will be the greatest. */
  #isBehindLast(): boolean {
    const { octets, keyStart, keyEnd } = this.#waiting
    const last = this.#last
    const octetsOfKey = keyEnd - keyStart
    const shorter = Math.min(octetsOfKey, this.#lastOctets)
    let common = 0
    while (common < shorter && octets[keyStart + common] === last[common]) common++
    const behind =
      common < shorter ? octets[keyStart + common]! > last[common]! : octetsOfKey > this.#lastOctets
    if (!behind) return false
    for (let at = common; at < octetsOfKey; at++) last[at] = octets[keyStart + at]!
    this.#lastOctets = octetsOfKey
    return true
  }

  /** As a node, or, when there is something to report, each record as a node that is written anew with those of the same
   *  owner that are still to come. */
  #wait(): void {
    const { count } = this.#records
    this.#troubled = false
    this.#hold(0, count, false)
    for (let rank = 0; this.#troubled && rank < count; rank++) this.#hold(rank, rank + 1, true)
  }

  #hold(from: number, to: number, anew: boolean): void {
    const waiting = this.#waiting
    const records = this.#records
    waiting.openAgain(records.nodeOctetsMax + (to - from) * PLACE_OCTETS)
    const end = this.#writeNode(from, to, this.#noteTrouble, waiting.octets, waiting.keyEnd)
    if (anew || !this.#troubled) waiting.close(end, to - from, records.placesOf(from, to), anew)
  }

  /** The sorted records go to the tree, with the key that was opened or loaded last. */
  #write(): void {
    const { octets, keyStart, keyEnd } = this.#waiting
    const records = this.#records
    this.#reserveNode(records.nodeOctetsMax)
    const end = this.#writeNode(0, records.count, this.#report, this.#rooms.node, 0)
    this.#tree.putRange(octets, keyStart, keyEnd, this.#rooms.node, 0, end)
    this.#recordCount += records.written
  }

  #writeNode(from: number, to: number, report: ReportRecord, out: Uint8Array, start: number): number {
    const owner = this.#owner
    const labels = owner.length - this.#apex.length
    const spelling = hasCapital(owner, labels) ? labels : 0
    return this.#records.write(from, to, this.#source, owner, spelling, report, out, start)
  }

  *#writeWaiting(): Steps<void> {
    const waiting = this.#waiting
    if (waiting.count === 0) return
    const gap = new KeyGap(this.#tree)
    yield* waiting.sort()
    for (let rank = 0; rank < waiting.count; ) {
      if (rank > 0) yield
      rank = this.#writeRanks(gap, rank, rank + OWNERS_A_STEP)
    }
    waiting.clear()
  }

  /** Ranks from `first` on, at least to `end` where there are as many; returns the rank behind. */
  #writeRanks(gap: KeyGap, first: number, end: number): number {
    const waiting = this.#waiting
    const stop = Math.min(end, waiting.count)
    let rank = first
    for (let touched = first; rank < stop; ) {
      if (rank >= touched) touched = waiting.touch(rank)
      waiting.load(rank)
      const { octets, keyStart, keyEnd } = waiting
      const inTree = gap.has(octets, keyStart, keyEnd)
      if (inTree || waiting.anew || waiting.isSameNext(rank)) rank = this.#merge(rank, inTree)
      else {
        const { count } = this.#tree
        this.#tree.putRange(octets, keyStart, keyEnd, octets, keyEnd, waiting.nodeEnd)
        if (this.#tree.count === count) throw new Error('content: a node was written over')
        this.#recordCount += waiting.records
        rank++
      }
    }
    return rank
  }

  /** Puts together what there is of an owner: that in the tree, and from the loaded rank on; returns the rank behind. */
  #merge(first: number, inTree: boolean): number {
    if (!inTree && this.#joined(first)) return first + 2
    const waiting = this.#waiting
    const records = this.#records
    const { octets, keyStart, keyEnd } = waiting
    this.#owner = this.#spelled(octets, keyEnd)
    if (inTree) {
      const node = this.#tree.get(octets.subarray(keyStart, keyEnd))!
      this.#recordCount -= records.addNode(node, 0, () => 0)
      this.#owner = this.#spelled(node, 0)
    }
    let rank = first
    for (let more = true; more; rank++) {
      waiting.load(rank)
      records.addNode(waiting.octets, waiting.keyEnd, record => waiting.placeOf(record))
      more = waiting.isSameNext(rank)
    }
    records.sort()
    this.#write()
    records.clear()
    return rank
  }

  /** Two ranks, the first of which is loaded, may be all there is of an owner, and their nodes need not be taken apart. */
  #joined(first: number): boolean {
    const waiting = this.#waiting
    const { octets, keyStart, keyEnd, nodeEnd, records, anew } = waiting
    waiting.load(first + 1)
    const simple = !anew && !waiting.anew && !waiting.isSameNext(first + 1)
    this.#reserveNode(nodeEnd - keyEnd + waiting.nodeEnd - waiting.keyEnd)
    const end = simple
      ? joinNodes(octets, keyEnd, nodeEnd, waiting.octets, waiting.keyEnd, waiting.nodeEnd, this.#rooms.node)
      : -1
    if (end < 0) {
      waiting.load(first)
      return false
    }
    this.#tree.putRange(octets, keyStart, keyEnd, this.#rooms.node, 0, end)
    this.#recordCount += records + waiting.records
    return true
  }

  #reserveNode(octets: number): void {
    if (this.#rooms.node.length < octets) this.#rooms.node = new Uint8Array(2 * octets)
  }

  /** The owner of the loaded key, spelled as in the node. */
  #spelled(node: Uint8Array, start: number): Uint8Array {
    const { octets, keyStart, keyEnd } = this.#waiting
    const owner = new Uint8Array(NAME_OCTETS_MAX)
    let labels = 0
    if ((node[start]! & NODE_CASE) === 0) labels = writeLabelsOfKey(octets, keyStart, keyEnd, owner, 0)
    else {
      const at = start + NODE_HEADER_OCTETS
      labels = node[at]!
      owner.set(node.subarray(at + 1, at + 1 + labels))
    }
    owner.set(this.#apex, labels)
    return owner.subarray(0, labels + this.#apex.length)
  }

  #fault(rule: RuleCode, what: string, type: number, place: number): void {
    const owner = nameToText(this.#owner)
    const where = { ...this.placeOf(place), record: `${owner} ${typeToText(type)}` }
    this.#faults.add(faultOf(rule, what, where))
  }

  /** The last nodes, and what there is to say of the whole. `place` is that of the zone. */
  *finish(includes: readonly string[], place: Place): Steps<ContentOutcome> {
    this.#flush()
    yield* this.#writeWaiting()
    const faults = this.#faults
    if (!this.#soaSeen && faults.errors.length === 0) {
      const what = 'no SOA record; expected one at the apex, whose owner is the name of the zone'
      faults.add(faultOf('soa-missing', what, place))
    }
    if (faults.errors.length > 0) {
      this.discard()
      return { kind: 'faults', faults: faults.all() }
    }
    this.#end()
    return { kind: 'content', content: this.#content(includes) }
  }

  #end(): void {
    if (!this.#returns) return
    this.#returns = false
    this.#waiting.clear()
    this.#records.clear()
    spare.push(this.#rooms)
  }

  #content(includes: readonly string[]): ZoneContent {
    const tree = this.#tree
    const node = tree.get(nothing)!
    const soa = findRRset(node, 0, TYPE.SOA) + RRSET_HEADER_OCTETS
    // SERIAL is the first of five 32-bit fields at the end (RFC 1035 §3.3.13).
    const serialAt = soa + RECORD_HEADER_OCTETS + u16(node, soa + 10) - 20
    return {
      apex: this.#apex,
      apexKey: this.#apexKey,
      tree,
      soaSerial: u32(node, serialAt),
      names: tree.count,
      records: this.#recordCount,
      includes,
      warnings: this.#faults.all(),
      presigned: this.#presigned,
    }
  }

  discard(): void {
    this.#end()
    this.#tree.discard()
  }
}

/** Whether one of the first `end` octets of an owner is a capital. Length octets are below all capitals. */
function hasCapital(owner: Uint8Array, end: number): boolean {
  for (let at = 0; at < end; at++) if (owner[at]! >= 0x41 && owner[at]! <= 0x5a) return true
  return false
}
