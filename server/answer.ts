/** What is answered: the algorithm of RFC 1034 §4.3.2 with DNSSEC (RFC 4035 §3.1, RFC 5155 §7.2), wildcards (RFC 4592),
 *  DNAME (RFC 6672), minimal ANY (RFC 8482) and negative answers (RFC 2308). Not here: reading the query (query.ts), how
 *  records are written (response.ts), which denial records prove it (denial-proofs.ts), additional data (additional.ts).
 *
 *    name ─ zone ─┬─ cut above it ────────── referral
 *                 ├─ DNAME above it ───────── synthesised CNAME ─ next name
 *                 ├─ node ─┬─ CNAME ───────── next name
 *                 │        ├─ type there ──── answer
 *                 │        └─ not there ───── NODATA
 *                 ├─ wildcard ─ as a node, with the proof that the name itself does not exist
 *                 └─ nothing ──────────────── NXDOMAIN
 *
 *  I1  In a names tree an ancestor that is a zone cut, owns a DNAME or encloses the name closest is an ancestor of, or
 *      is, the name's floor; so one look-up finds node, cut, DNAME and closest encloser.
 *  I2  The answer section is complete before anything goes into authority, where wildcard proofs of a chain come last;
 *      authority is complete before anything goes into the additional section.
 *  I3  What is required and does not fit sets TC (RFC 2181 §9); what is optional is left out in silence. */

import {
  DENIAL_NONE,
  findRRset,
  firstRRsetAt,
  NAME_OCTETS_MAX,
  NODE_DELEGATION,
  NODE_DNAME,
  NODE_OCCLUDED,
  nextRRsetAt,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  u16,
} from '../zones/reading.ts'
import { putAdditional, putGlue } from './additional.ts'
import { type AnswerState, CNAME_CHAIN_MAX, labelBoundary, wireOctetsOfKey } from './answer-state.ts'
import {
  findWildcard,
  proveNameError,
  proveNoData,
  proveNoDs,
  proveWildcardAnswer,
  proveWildcardNoData,
} from './denial-proofs.ts'
import { HEADER_OCTETS } from './query.ts'
import {
  FAILURE_NONE,
  FAILURE_NOT_READY,
  FAILURE_OUT_OF_ZONES,
  RCODE_NXDOMAIN,
  RCODE_YXDOMAIN,
} from './rcode.ts'
import { ANSWER, AUTHORITY, type Parts, RECORDS, SIGNATURES } from './response.ts'
import { negativeOf, type ZoneView } from './zone-view.ts'

export const TYPE_NS = 2
export const TYPE_CNAME = 5
export const TYPE_SOA = 6
export const TYPE_DNAME = 39
export const TYPE_DS = 43
export const TYPE_RRSIG = 46
export const TYPE_ANY = 255

/** Steps back from a name's floor before the cut above it is looked up. */
const STEPS_TO_CUT_MAX = 8

/** Writes the sections for the query in `state`; returns FAILURE_NONE, or the failure to answer with instead. */
export function resolve(state: AnswerState): number {
  state.reset()
  for (;;) {
    const view = findZone(state)
    if (view === undefined || !view.ready) {
      // RFC 1034 §4.3.2 step 3a: the end of a chain may lie where we know nothing; what we have is the answer.
      if (state.chain > 0) break
      return view === undefined ? FAILURE_OUT_OF_ZONES : FAILURE_NOT_READY
    }
    state.view = view
    if (!answerFromZone(state, view)) break
  }
  if (state.wildcards !== 0) putChainProofs(state)
  return FAILURE_NONE
}

// Zones

/** RFC 1034 §4.3.2 step 2: the zone that is the nearest ancestor of the name. RFC 4035 §3.1.4.1: DS at an apex belongs to
 *  the parent's side of the cut, when we serve it. */
function findZone(state: AnswerState): ZoneView | undefined {
  const found = nearestZone(state, state.keyOctets)
  if (state.query.type !== TYPE_DS || found < 0 || found !== state.keyOctets || found === 0) {
    return found < 0 ? undefined : state.views.at(state.catalogue, state.side)
  }
  const parent = nearestZone(state, labelBoundary(state.key, found - 1, 0))
  if (parent < 0) nearestZone(state, found)
  return state.views.at(state.catalogue, state.side)
}

/** Puts the catalogue's cursor on the longest apex that is a prefix of the key's first `keyEnd` octets; returns its
 *  octets, or −1. Every such apex is a prefix of the key's floor among all apexes, too. */
function nearestZone(state: AnswerState, keyEnd: number): number {
  const { catalogue, catalogueRoot, key } = state
  let end = keyEnd
  for (;;) {
    if (catalogue.find(catalogueRoot, key, 0, end)) return end
    if (!catalogue.positioned) return -1
    const common = catalogue.commonOctets
    if (common === catalogue.keyLength) return common
    end = labelBoundary(key, common, 0)
  }
}

// One name in one zone

/** Answers for the name at hand. True when it was an alias, and the name it stands for is now the one at hand. */
function answerFromZone(state: AnswerState, view: ZoneView): boolean {
  const { cursor, key } = state
  const apexEnd = view.apexKeyOctets
  const found = cursor.find(view.namesRoot, key, apexEnd, state.keyOctets)
  const octets = cursor.bytes
  const node = cursor.valueStart
  const flags = octets[node]!
  const common = apexEnd + cursor.commonOctets
  if ((flags & NODE_OCCLUDED) !== 0) {
    const cutEnd = octets[node + 1] === 0 ? apexEnd : cutWithin(key, apexEnd, common, octets[node + 1]!)
    if (cutEnd >= 0) return atCut(state, view, cutEnd)
  } else if (found) {
    // RFC 4035 §3.1.4.1: of what is asked at a cut, DS alone is the parent's to answer.
    if ((flags & NODE_DELEGATION) === 0 || state.query.type === TYPE_DS)
      return atNode(state, view, octets, node)
    putReferral(state, view, octets, node, state.keyOctets)
    return false
  } else if ((flags & (NODE_DELEGATION | NODE_DNAME)) !== 0 && cursor.commonOctets === cursor.keyLength) {
    if ((flags & NODE_DELEGATION) === 0) return followDname(state, view, octets, node, common)
    putReferral(state, view, octets, node, common)
    return false
  }
  return atNoNode(state, view, labelBoundary(key, common, apexEnd))
}

/** Offset behind that many labels of the key, if they end by `end`: what floor and name share. Else −1: then the cut
 *  above the floor is not above the name. */
function cutWithin(key: Uint8Array, start: number, end: number, labels: number): number {
  let left = labels
  for (let at = start; at < end; at++) if (key[at] === 0 && --left === 0) return at + 1
  return -1
}

/** The name lies below the zone cut or DNAME whose key has `cutEnd` octets. */
function atCut(state: AnswerState, view: ZoneView, cutEnd: number): boolean {
  const { cursor } = state
  // All names between the cut and its floor lie below the cut; nearly always it is a step or two back.
  const cutOctets = cutEnd - view.apexKeyOctets
  let steps = 0
  while (cursor.keyLength !== cutOctets && steps < STEPS_TO_CUT_MAX && cursor.prev()) steps++
  if (cursor.keyLength !== cutOctets) cursor.find(view.namesRoot, state.key, view.apexKeyOctets, cutEnd)
  if ((cursor.bytes[cursor.valueStart]! & NODE_DNAME) !== 0) {
    return followDname(state, view, cursor.bytes, cursor.valueStart, cutEnd)
  }
  putReferral(state, view, cursor.bytes, cursor.valueStart, cutEnd)
  return false
}

/** RFC 1034 §4.3.2 step 3a: the node exists. */
function atNode(state: AnswerState, view: ZoneView, octets: Uint8Array, node: number): boolean {
  const { type } = state.query
  const rrset = findAnswer(octets, node, type)
  if (rrset >= 0) {
    if (putAnswer(state, octets, rrset)) {
      if (state.wildcards !== 0) endAuthority(state)
      putAdditional(state, view, octets, rrset)
    }
    return false
  }
  const alias =
    type === TYPE_DS && (octets[node]! & NODE_DELEGATION) !== 0 ? -1 : findRecords(octets, node, TYPE_CNAME)
  if (alias >= 0) return followCname(state, octets, alias)
  putNegative(state, view)
  if (wantsProofs(state)) proveNoData(state, view, octets, node)
  state.noData = true
  return false
}

/** RFC 1034 §4.3.2 step 3c: no such node; its closest encloser may have a wildcard (RFC 4592 §3.3.1). */
function atNoNode(state: AnswerState, view: ZoneView, encloser: number): boolean {
  const known = encloser === view.apexKeyOctets && !view.apexWildcard
  if (!known && findWildcard(state, view, encloser)) return atWildcard(state, view, encloser)
  putNegative(state, view)
  if (wantsProofs(state)) proveNameError(state, view, encloser, !known)
  // RFC 6604 §3: of a chain, the last name decides.
  state.rcode = RCODE_NXDOMAIN
  return false
}

/** The wildcard that `state.side` stands on speaks for the name. */
function atWildcard(state: AnswerState, view: ZoneView, encloser: number): boolean {
  const { side } = state
  const octets = side.bytes
  const node = side.valueStart
  state.wildcard = true
  if ((octets[node]! & NODE_DELEGATION) !== 0 && state.query.type !== TYPE_DS) {
    // RFC 4592 §4.2: undefined; as Knot does, the name is taken as delegated.
    putReferral(state, view, octets, node, state.keyOctets)
    return false
  }
  const rrset = findAnswer(octets, node, state.query.type)
  if (rrset >= 0) {
    const whole = putAnswer(state, octets, rrset)
    if (wantsProofs(state)) proveWildcardAnswer(state, view, encloser)
    if (state.wildcards !== 0) endAuthority(state)
    if (whole) putAdditional(state, view, octets, rrset)
    return false
  }
  const alias = findRecords(octets, node, TYPE_CNAME)
  if (alias >= 0) {
    state.owesWildcardProof(encloser)
    return followCname(state, octets, alias)
  }
  putNegative(state, view)
  if (wantsProofs(state)) proveWildcardNoData(state, view, encloser)
  state.noData = true
  return false
}

function wantsProofs(state: AnswerState): boolean {
  return state.query.dnssecOk
}

/** The RRset of that type if it has records: signatures alone are no answer. */
function findRecords(octets: Uint8Array, node: number, type: number): number {
  const rrset = findRRset(octets, node, type)
  return rrset >= 0 && u16(octets, rrset + 4) !== 0 ? rrset : -1
}

/** The RRset that answers the type, or −1. RFC 8482 §4.1: for ANY, one RRset; for RRSIG, likewise, one RRset's. */
function findAnswer(octets: Uint8Array, node: number, type: number): number {
  if (type !== TYPE_ANY && type !== TYPE_RRSIG) return findRecords(octets, node, type)
  let rrset = firstRRsetAt(octets, node)
  for (let left = octets[node + 2]!; left > 0; left--) {
    const has = type === TYPE_ANY ? u16(octets, rrset + 4) : octets[rrset + 3]!
    if (has !== 0) return rrset
    rrset = nextRRsetAt(octets, rrset)
  }
  return -1
}

function putAnswer(state: AnswerState, octets: Uint8Array, rrset: number): boolean {
  return putRequired(
    state,
    ANSWER,
    octets,
    rrset,
    state.query.type === TYPE_RRSIG ? SIGNATURES : state.parts,
    state.keyOctets,
  )
}

/** RFC 4035 §3.1.1: when an RRset fits but its RRSIGs do not, it goes without them and TC is set. */
function putRequired(
  state: AnswerState,
  section: typeof ANSWER | typeof AUTHORITY,
  octets: Uint8Array,
  rrset: number,
  parts: Parts,
  ownerEnd: number,
): boolean {
  const { response } = state
  const owner = state.owner(ownerEnd)
  if (owner >= 0 && response.putRRset(section, octets, rrset, parts, owner)) return true
  response.truncated = true
  if (parts === RECORDS || parts === SIGNATURES) return false
  const again = state.owner(ownerEnd)
  return again >= 0 && response.putRRset(section, octets, rrset, RECORDS, again)
}

// Aliases

function followCname(state: AnswerState, octets: Uint8Array, rrset: number): boolean {
  if (!putRequired(state, ANSWER, octets, rrset, state.parts, state.keyOctets)) return false
  const rdata = rrset + RRSET_HEADER_OCTETS + RECORD_HEADER_OCTETS
  const length = u16(octets, rdata - 2)
  const target = state.nextTarget()
  for (let at = 0; at < length; at++) target[at] = octets[rdata + at]!
  return state.follow(length)
}

/** RFC 6672 §3.2: the DNAME whose owner's key has `ownerEnd` octets, and the CNAME that it makes for the name. */
function followDname(
  state: AnswerState,
  view: ZoneView,
  octets: Uint8Array,
  node: number,
  ownerEnd: number,
): boolean {
  const rrset = findRecords(octets, node, TYPE_DNAME)
  if (rrset < 0) return atNoNode(state, view, ownerEnd)
  // RFC 2181 §5: no record twice, though a chain may come through the same DNAME again.
  if (state.isNewRRset(octets, rrset) && !putRequired(state, ANSWER, octets, rrset, state.parts, ownerEnd)) {
    return false
  }
  const record = rrset + RRSET_HEADER_OCTETS
  const targetOctets = u16(octets, record + 10)
  const kept = state.nameLength - wireOctetsOfKey(state.key, 0, ownerEnd)
  if (kept + targetOctets > NAME_OCTETS_MAX) {
    state.rcode = RCODE_YXDOMAIN
    return false
  }
  const target = state.nextTarget()
  for (let at = 0; at < kept; at++) target[at] = state.nameOctets[state.nameStart + at]!
  for (let at = 0; at < targetOctets; at++) target[kept + at] = octets[record + RECORD_HEADER_OCTETS + at]!
  if (!putSynthesisedCname(state, octets, record, target)) return false
  // Deviation: RFC 6672 §3.2 goes on here for every QTYPE; as at a CNAME that is no synthesis (RFC 1034 §4.3.2 step 3a),
  // and as NSD and Knot have it, the CNAME is the answer to who asks for it.
  if (state.query.type === TYPE_CNAME) return false
  return state.follow(kept + targetOctets)
}

/** RFC 6672 §3.1: the CNAME has the DNAME's TTL, and no signature. */
function putSynthesisedCname(
  state: AnswerState,
  octets: Uint8Array,
  dname: number,
  target: Uint8Array,
): boolean {
  const { response } = state
  const owner = state.owner(state.keyOctets)
  if (owner >= 0 && response.putCname(owner, octets, dname + 6, target)) return true
  response.truncated = true
  return false
}

// Authority

/** RFC 2308 §3: the SOA of the zone, with the TTL of negative answers. */
function putNegative(state: AnswerState, view: ZoneView): void {
  const { response, catalogue } = state
  // Its cursor has done its work; that of the side may stand on the wildcard that proofs are about.
  const negative = negativeOf(view, catalogue)
  const signed = state.query.dnssecOk && negative.signatures > 0
  if (state.chain > 0) {
    // The apex may stand nowhere in the message yet.
    putRequired(state, AUTHORITY, negative.node, negative.rrset, state.parts, view.apexKeyOctets)
    return
  }
  const apex = HEADER_OCTETS + state.nameLength - view.apex.length
  if (response.putNegative(negative, signed, apex)) return
  response.truncated = true
  if (signed) response.putNegative(negative, false, apex)
}

/** RFC 1034 §4.3.2 step 3b, RFC 4035 §3.1.4: the NS RRset of the cut, its DS or the proof that it has none, and glue. */
function putReferral(
  state: AnswerState,
  view: ZoneView,
  octets: Uint8Array,
  node: number,
  cutEnd: number,
): void {
  const ns = findRecords(octets, node, TYPE_NS)
  state.referral = true
  // RFC 1034 §4.3.1: a referral is not authoritative; at the end of a chain AA speaks for the first owner.
  if (state.chain === 0) state.authoritative = false
  if (ns < 0 || !putRequired(state, AUTHORITY, octets, ns, RECORDS, cutEnd)) return
  if (wantsProofs(state) && view.denial !== DENIAL_NONE) {
    const ds = findRecords(octets, node, TYPE_DS)
    if (ds >= 0) putRequired(state, AUTHORITY, octets, ds, state.parts, cutEnd)
    else proveNoDs(state, view, octets, node, cutEnd)
  }
  if (state.wildcards !== 0) {
    endAuthority(state)
    state.cursor.find(view.namesRoot, state.key, view.apexKeyOctets, cutEnd)
  }
  putGlue(state, view, octets, ns, cutEnd)
}

/** I2: before additional data, the proofs that are still owed; the name at hand stays, the cursors do not. */
function endAuthority(state: AnswerState): void {
  const { chain } = state
  putChainProofs(state)
  state.goTo(chain)
}

/** The proofs owed for wildcards that answered on the way along a chain. */
function putChainProofs(state: AnswerState): void {
  if (!wantsProofs(state)) return
  for (let index = 0; index < CNAME_CHAIN_MAX; index++) {
    const view = state.wildcardViews[index]
    if ((state.wildcards & (1 << index)) === 0 || view === undefined) continue
    state.goTo(index)
    state.cursor.find(view.namesRoot, state.key, view.apexKeyOctets, state.keyOctets)
    proveWildcardAnswer(state, view, state.wildcardEnclosers[index]!)
  }
  state.wildcards = 0
}
