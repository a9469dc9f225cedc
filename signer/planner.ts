/** Annotating a range of a names tree: flags, occlusion, empty non-terminals, NSEC (RFC 4035 §2.2 and §2.3, RFC 4592
 *  §2.2.2, RFC 6672 §2.3). One pass in canonical order, from content alone, in chunks; nothing is signed here.
 *
 *    content:   a  (b)  x.b  c ─┬ ns.c   d          (b): empty, made when x.b is met
 *    NSEC:      a ─────▶ x.b ─▶ c ──────▶ d ─▶ …    ns.c: occluded by the cut c
 *
 *  I1  A planned node is a function of the content of the zone, never of what was published before.
 *  I2  In every chunk each NSEC is complete: a chunk ends before an authoritative name, which the last NSEC points at.
 *  I3  Nodes come in ascending order. Old nodes in the range that are not planned again are planned to be removed. */

import {
  compareOctets,
  decodeNode,
  NODE_APEX,
  NODE_CASE,
  NODE_EMPTY_NON_TERMINAL,
  NODE_OCCLUDED,
  NODE_WILDCARD_CHILD,
  type NodeRRset,
  SOURCE_SIGNER,
  type TreeCursor,
  TYPE,
} from '../zones/index.ts'
import { type ContentRules, contentRRsets, countLowered, hasContent, keepsAll, occludes } from './content.ts'
import { hasNsec, nsecBitmap, nsecRdata } from './nsec.ts'
import {
  APEX_KEY,
  authoritativeFrom,
  type ContentTree,
  hasContentAtOrBelow,
  isBelow,
  type KeyRange,
  labelsOfKey,
  startsWith,
  subtreeEnd,
} from './ranges.ts'

/** A node to be written: content, annotation and denial, with what is still to be signed decided later. */
export interface PlannedNode {
  readonly key: Uint8Array
  /** The name is gone. */
  readonly remove: boolean
  readonly flags: number
  readonly cutLabels: number
  readonly spelling?: Uint8Array | undefined
  /** The content node itself, when nothing is added to it or taken from it but flags: a zone that is served as it is. */
  readonly stored?: Uint8Array | undefined
  /** Empty beside `stored`. */
  readonly rrsets: NodeRRset[]
}

export interface PlannerOptions {
  readonly cursor: TreeCursor
  /** A second cursor, for looking ahead. */
  readonly lookAhead: TreeCursor
  readonly rules: ContentRules
  readonly canonicalApex: Uint8Array
  /** TTL of NSEC records to make; undefined: none. */
  readonly nsecTtl: number | undefined
  /** The apex's RRsets out of its content: where the signer adds its own. */
  readonly apexRRsets: (content: readonly NodeRRset[]) => NodeRRset[]
  /** The output is the tree that is read: what is not planned again has to go. */
  readonly inPlace: boolean
}

export class NamesPlanner {
  /** RRsets whose TTL was lowered so far. */
  lowered = 0
  readonly #options: PlannerOptions
  readonly #ahead: ContentTree
  readonly #root: number
  readonly #end: Uint8Array | undefined
  /** Where the next chunk starts; undefined at the end of the range. */
  #from: Uint8Array | undefined
  /** The last name with content. */
  #previous: Uint8Array | undefined
  /** Key of the zone cut or DNAME that is in force. */
  #occluder: Uint8Array | undefined
  /** The authoritative node that waits for its successor. */
  #waiting: PlannedNode | undefined
  /** Keys of nodes without content since `#previous`. */
  #stale: Uint8Array[] = []

  /** Plans the range of the tree at `root`, which must not change but by what this planner planned before. */
  constructor(options: PlannerOptions, root: number, range: KeyRange) {
    this.#options = options
    this.#ahead = { cursor: options.lookAhead, root, rules: options.rules }
    this.#root = root
    this.#from = range.start
    this.#end = range.end
  }

  /** Appends the next chunk, about `nodesMax` nodes; false when the range is done. `root` is where the tree is by now. */
  plan(nodes: PlannedNode[], nodesMax: number, root: number = this.#root): boolean {
    if (this.#from === undefined) return false
    const { cursor, rules } = this.#options
    const ahead = { ...this.#ahead, root }
    let placed = cursor.seekCeiling(root, this.#from, 0, this.#from.length)
    while (placed) {
      const key = cursor.key.slice(0, cursor.loadKey())
      if (this.#end !== undefined && compareOctets(key, this.#end) >= 0) break
      if (!hasContent(rules, key, cursor.bytes, cursor.valueStart)) {
        this.#stale.push(key)
        placed = cursor.next()
        continue
      }
      const occluded = this.#isOccluded(key)
      if (nodes.length >= nodesMax && this.#endChunk(key, occluded, ahead)) return true
      const octets = cursor.bytes.slice(cursor.valueStart, cursor.valueEnd)
      placed = cursor.next()
      const hasDescendants = placed && isBelow(cursor, key)
      this.#planEmptyNonTerminals(nodes, key, occluded, ahead)
      this.#planName(nodes, key, octets, occluded, hasDescendants, ahead)
      this.#previous = key
    }
    this.#endRange(nodes, ahead)
    return false
  }

  #isOccluded(key: Uint8Array): boolean {
    if (this.#occluder !== undefined && !startsWith(key, this.#occluder)) this.#occluder = undefined
    return this.#occluder !== undefined
  }

  /** I2: before an authoritative name, or where the waiting NSEC's successor was looked up. */
  #endChunk(key: Uint8Array, occluded: boolean, ahead: ContentTree): boolean {
    this.#from = key
    if (!occluded) this.#link(key)
    else if (this.#waiting !== undefined) {
      const after = subtreeEnd(this.#occluder!)
      this.#link((after === undefined ? undefined : authoritativeFrom(ahead, after)) ?? APEX_KEY)
    }
    return true
  }

  /** RFC 4592 §2.2.2: names that exist only because a descendant does, between the last name with content and `key`. */
  #planEmptyNonTerminals(nodes: PlannedNode[], key: Uint8Array, occluded: boolean, ahead: ContentTree): void {
    const previous = this.#previous
    const stale = this.#stale
    if (previous !== undefined) {
      let labelEnd = commonLabels(previous, key)
      for (;;) {
        labelEnd = key.indexOf(0, labelEnd) + 1
        if (labelEnd === 0 || labelEnd >= key.length) break
        const name = key.slice(0, labelEnd)
        this.#removeStaleBefore(nodes, name)
        if (stale.length > 0 && compareOctets(stale[0]!, name) === 0) stale.shift()
        nodes.push(this.#emptyNonTerminal(name, occluded, ahead))
      }
    }
    this.#removeStaleBefore(nodes, key)
  }

  #emptyNonTerminal(key: Uint8Array, occluded: boolean, ahead: ContentTree): PlannedNode {
    const flags = occluded ? NODE_OCCLUDED : hasWildcardChild(ahead, key) ? NODE_WILDCARD_CHILD : 0
    return {
      key,
      remove: false,
      flags: flags | NODE_EMPTY_NON_TERMINAL,
      cutLabels: occluded ? labelsOfKey(this.#occluder!) : 0,
      rrsets: [],
    }
  }

  #removeStaleBefore(nodes: PlannedNode[], key: Uint8Array | undefined): void {
    const stale = this.#stale
    while (stale.length > 0 && (key === undefined || compareOctets(stale[0]!, key) < 0)) {
      const gone = stale.shift()!
      if (this.#options.inPlace) nodes.push(removedNode(gone))
    }
  }

  #planName(
    nodes: PlannedNode[],
    key: Uint8Array,
    octets: Uint8Array,
    occluded: boolean,
    hasDescendants: boolean,
    ahead: ContentTree,
  ): void {
    const { rules, apexRRsets } = this.#options
    const apex = key.length === 0
    const stored = !apex && keepsAll(rules, key) ? octets : undefined
    const content = stored === undefined ? contentRRsets(rules, key, octets) : []
    this.lowered += countLowered(rules, key, octets)
    const occluding = occluded ? 0 : occludes(octets, 0, apex)
    const wildcardChild = !occluded && hasDescendants && hasWildcardChild(ahead, key)
    const flags =
      (apex ? NODE_APEX : 0) |
      (occluded ? NODE_OCCLUDED : occluding) |
      (wildcardChild ? NODE_WILDCARD_CHILD : 0)
    const spelling = (octets[0]! & NODE_CASE) === 0 ? undefined : decodeNode(octets).spelling
    const node: PlannedNode = {
      key,
      remove: false,
      flags,
      cutLabels: occluded ? labelsOfKey(this.#occluder!) : 0,
      spelling,
      stored,
      rrsets: apex ? apexRRsets(content) : content,
    }
    if (hasNsec(flags)) {
      this.#link(key)
      this.#waiting = node
    }
    if (occluding !== 0) this.#occluder = key
    nodes.push(node)
  }

  /** The waiting node's NSEC points at that name. */
  #link(next: Uint8Array): void {
    const { nsecTtl, canonicalApex } = this.#options
    const node = this.#waiting
    this.#waiting = undefined
    if (node === undefined || nsecTtl === undefined) return
    const rdata = nsecRdata(next, canonicalApex, nsecBitmap(node.flags, node.rrsets))
    insertRRset(node.rrsets, {
      type: TYPE.NSEC,
      source: SOURCE_SIGNER,
      ttl: nsecTtl,
      rdata: [rdata],
      signatures: [],
    })
  }

  #endRange(nodes: PlannedNode[], ahead: ContentTree): void {
    if (this.#end !== undefined) this.#planEmptyNonTerminals(nodes, this.#end, false, ahead)
    this.#removeStaleBefore(nodes, undefined)
    this.#link(this.#end ?? APEX_KEY)
    this.#from = undefined
  }
}

export function removedNode(key: Uint8Array): PlannedNode {
  return { key, remove: true, flags: 0, cutLabels: 0, rrsets: [] }
}

/** Octets that two keys share in whole labels. */
function commonLabels(a: Uint8Array, b: Uint8Array): number {
  const shorter = Math.min(a.length, b.length)
  let end = 0
  for (let at = 0; at < shorter && a[at] === b[at]; at++) if (a[at] === 0) end = at + 1
  return end
}

/** RFC 4592 §2.1.1: a child whose first label is `*` exists, be it as an empty non-terminal. */
function hasWildcardChild(ahead: ContentTree, key: Uint8Array): boolean {
  const wildcard = new Uint8Array(key.length + 2)
  wildcard.set(key)
  wildcard[key.length] = 0x2a
  return hasContentAtOrBelow(ahead, wildcard)
}

/** Puts an RRset at its place (node I1), instead of one of its type. */
export function insertRRset(rrsets: NodeRRset[], rrset: NodeRRset): void {
  const at = rrsets.findIndex(other => other.type >= rrset.type)
  if (at < 0) rrsets.push(rrset)
  else rrsets.splice(at, rrsets[at]!.type === rrset.type ? 1 : 0, rrset)
}
