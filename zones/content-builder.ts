/** Records on their way into a content tree: those of one owner are collected, and its node is written when another
 *  comes. Owners in canonical order go to the tree at once; the others wait until all are there.
 *
 *    records ──OwnerRecords─┬─ behind all before ──────────────────▶ node ──▶ TreeDraft
 *                           └─ else ──WaitingOwners──(at the end)──▶ node ──▶
 *
 *  I1  content.ts I1 to I3 hold whatever the order. */

import { atOnce, type Place, type Steps } from '../base/index.ts'
import type { ContentOutcome, ZoneContent } from './content.ts'
import type { FaultList } from './fault.ts'
import { KeyGap } from './key-gap.ts'
import {
  isAtOrBelow,
  KEY_OCTETS_MAX,
  keyOf,
  NAME_OCTETS_MAX,
  type Name,
  nameToText,
  rootName,
  writeKey,
  writeLabelsOfKey,
} from './name.ts'
import {
  findRRset,
  NODE_CASE,
  NODE_HEADER_OCTETS,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  u16,
  u32,
} from './node.ts'
import { OwnerRecords, type ReportRecord } from './owner-records.ts'
import { faultOf, type RuleCode } from './rules.ts'
import type { TreeDraft } from './store/draft.ts'
import { TYPE, typeToText } from './types.ts'
import { WaitingOwners } from './waiting-owners.ts'

const OWNERS_A_STEP = 2048

export class ContentBuilder {
  begun = false
  /** Turns the number that `add` was given with a record into its place. */
  placeOf: (place: number) => Place = () => ({})
  readonly #tree: TreeDraft
  readonly #source: number
  readonly #faults: FaultList
  readonly #records = new OwnerRecords()
  readonly #waiting: WaitingOwners
  #apex: Name = rootName
  #apexKeyOctets = 0
  /** The owner whose records are being collected, and its absolute key. */
  readonly #owner = new Uint8Array(NAME_OCTETS_MAX)
  #ownerOctets = 0
  readonly #key = new Uint8Array(KEY_OCTETS_MAX)
  #keyOctets = 0
  /** The greatest key in the tree, absolute; none before the first. */
  readonly #last = new Uint8Array(KEY_OCTETS_MAX)
  #lastOctets = -1
  #outside = false
  #recordCount = 0
  #soaSeen = false
  #presigned = false
  readonly #report: ReportRecord = (rule, what, type, index) =>
    this.#fault(rule, what, type, this.#records.places[index]!)

  constructor(
    tree: TreeDraft,
    source: number,
    faults: FaultList,
    waiting: WaitingOwners = new WaitingOwners(),
  ) {
    this.#tree = tree
    this.#waiting = waiting
    this.#source = source
    this.#faults = faults
  }

  begin(apex: Name): void {
    this.begun = true
    this.#apex = apex
    this.#apexKeyOctets = writeKey(apex, 0, this.#key)
  }

  /** Whether records are being collected for this owner, spelled like this. */
  isOwner(owner: Uint8Array): boolean {
    if (owner.length !== this.#ownerOctets) return false
    for (let at = 0; at < owner.length; at++) if (owner[at] !== this.#owner[at]) return false
    return true
  }

  /** Takes a record; `newOwner` when it is not that of the record before. Octets are copied. */
  add(
    owner: Name,
    newOwner: boolean,
    type: number,
    ttl: number,
    rdata: Uint8Array,
    start: number,
    end: number,
    place: number,
  ): void {
    if (newOwner) this.#enter(owner, type, place)
    if (this.#outside) return
    if (type === TYPE.SOA && this.#keyOctets > this.#apexKeyOctets) {
      this.#fault('soa-below-apex', 'SOA below the apex; expected SOA at the apex only', type, place)
      return
    }
    if (type === TYPE.SOA) this.#soaSeen = true
    else if (type === TYPE.RRSIG || type === TYPE.NSEC || type === TYPE.NSEC3) this.#presigned = true
    this.#records.add(type, ttl, rdata, start, end, place)
  }

  #enter(owner: Name, type: number, place: number): void {
    this.#flush()
    if (this.#waiting.full) atOnce(this.#writeWaiting())
    const octets = this.#owner
    for (let at = 0; at < owner.length; at++) octets[at] = owner[at]!
    this.#ownerOctets = owner.length
    this.#outside = !isAtOrBelow(owner, this.#apex)
    if (!this.#outside) this.#keyOctets = writeKey(owner, 0, this.#key)
    else
      this.#fault(
        'out-of-zone',
        `a record outside of the zone ${nameToText(this.#apex)}; it is left out`,
        type,
        place,
      )
  }

  /** The owner's records are all there, for now. */
  #flush(): void {
    const records = this.#records
    if (records.count === 0) return
    if (this.#isBehindLast()) {
      this.#write()
      this.#noteLast()
    } else {
      const spelling = this.#spellingOctets()
      this.#waiting.add(this.#key, this.#apexKeyOctets, this.#keyOctets, this.#owner, spelling, records)
    }
    records.clear()
  }

  #isBehindLast(): boolean {
    const key = this.#key
    const last = this.#last
    const shorter = Math.min(this.#keyOctets, this.#lastOctets)
    for (let at = this.#apexKeyOctets; at < shorter; at++) {
      if (key[at] !== last[at]) return key[at]! > last[at]!
    }
    return this.#keyOctets > this.#lastOctets
  }

  #noteLast(): void {
    for (let at = this.#apexKeyOctets; at < this.#keyOctets; at++) this.#last[at] = this.#key[at]!
    this.#lastOctets = this.#keyOctets
  }

  /** Octets of the owner's labels when they have capitals to keep. */
  #spellingOctets(): number {
    const labels = this.#ownerOctets - this.#apex.length
    return hasCapital(this.#owner, labels) ? labels : 0
  }

  #write(): void {
    const records = this.#records
    const spelling = this.#spellingOctets()
    const octets = records.write(this.#source, this.#owner, this.#ownerOctets, spelling, this.#report)
    this.#tree.putRange(this.#key, this.#apexKeyOctets, this.#keyOctets, records.out, 0, octets)
    this.#recordCount += records.written
  }

  *#writeWaiting(): Steps<void> {
    const waiting = this.#waiting
    if (waiting.count === 0) return
    const gap = new KeyGap(this.#tree)
    yield* waiting.sort()
    for (let rank = 0, written = 1; rank < waiting.count; written++) {
      this.#enterWaiting(rank)
      if (gap.has(this.#key, this.#apexKeyOctets, this.#keyOctets)) this.#takeNode()
      do waiting.loadRecords(rank++, this.#records)
      while (rank < waiting.count && waiting.isSameAsBefore(rank))
      this.#write()
      this.#records.clear()
      if (written % OWNERS_A_STEP === 0) yield
    }
    waiting.clear()
  }

  #enterWaiting(rank: number): void {
    const start = this.#apexKeyOctets
    this.#keyOctets = this.#waiting.copyKey(rank, this.#key, start)
    const labels =
      this.#waiting.copySpelling(rank, this.#owner) ||
      writeLabelsOfKey(this.#key, start, this.#keyOctets, this.#owner, 0)
    for (let at = 0; at < this.#apex.length; at++) this.#owner[labels + at] = this.#apex[at]!
    this.#ownerOctets = labels + this.#apex.length
  }

  /** Takes the records that the owner has in the tree already, and the spelling that it has there. */
  #takeNode(): void {
    const node = this.#tree.get(this.#key.subarray(this.#apexKeyOctets, this.#keyOctets))!
    this.#recordCount -= this.#records.addNode(node)
    if ((node[0]! & NODE_CASE) === 0)
      writeLabelsOfKey(this.#key, this.#apexKeyOctets, this.#keyOctets, this.#owner, 0)
    else
      this.#owner.set(
        node.subarray(NODE_HEADER_OCTETS + 1, NODE_HEADER_OCTETS + 1 + node[NODE_HEADER_OCTETS]!),
      )
  }

  #fault(rule: RuleCode, what: string, type: number, place: number): void {
    const owner = nameToText(this.#owner.subarray(0, this.#ownerOctets))
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
    return { kind: 'content', content: this.#content(includes) }
  }

  #content(includes: readonly string[]): ZoneContent {
    const tree = this.#tree
    const node = tree.get(new Uint8Array(0))!
    const soa = findRRset(node, 0, TYPE.SOA) + RRSET_HEADER_OCTETS
    // SERIAL is the first of five 32-bit fields at the end (RFC 1035 §3.3.13).
    const serialAt = soa + RECORD_HEADER_OCTETS + u16(node, soa + 10) - 20
    return {
      apex: this.#apex,
      apexKey: keyOf(this.#apex),
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
    this.#waiting.clear()
    this.#tree.discard()
  }
}

/** Whether one of the first `end` octets of an owner is a capital. Length octets are below all capitals. */
function hasCapital(owner: Uint8Array, end: number): boolean {
  for (let at = 0; at < end; at++) if (owner[at]! >= 0x41 && owner[at]! <= 0x5a) return true
  return false
}
