/** Input that is signed already: whether we may sign it again, and how it is served as it is. */

import {
  compareOctets,
  DENIAL_NONE,
  DENIAL_NSEC,
  DENIAL_NSEC3,
  DENIAL_OPT_OUT,
  type Denial,
  encodeNode,
  type Fault,
  type Name,
  nameToText,
  type Store,
  type TreeDraft,
  TYPE,
  typeToText,
  u16,
} from '../zones/index.ts'
import { NO_NSEC3_PARAMETERS } from './apex.ts'
import type { BuildInput, Nsec3Parameters } from './build-types.ts'
import { HASHED_KEY_OCTETS, sameChain } from './content.ts'
import { keyTagOf } from './dnskey.ts'
import { FLAG_OPT_OUT, readBase32Hex } from './nsec3.ts'
import { rrsetOfType } from './previous.ts'
import { currentKey } from './ranges.ts'
import type { SigningPlan } from './signing-plan.ts'
import { BuildStop } from './writer.ts'
import { apexNode } from './zonemd.ts'

/** Refuses to sign without keys, and input with keys that we do not hold: a DS at the parent that points at those, or
 *  what others sign with them, would be bogus with ours. Foreign keys that the settings include are known.
 *  @throws BuildStop SIGNED_BY_OTHERS, FOREIGN_KEYS, NO_KEYS */
export function checkSignedInput(input: BuildInput, plan: SigningPlan): void {
  const { edits, store, apex } = input
  if (edits.kind === 'all' && input.replaceKeys !== true) {
    const node = apexNode(store, edits.content.tree.root)
    const dnskeys = node === undefined ? [] : (rrsetOfType(node, TYPE.DNSKEY)?.rdata ?? [])
    if (edits.content.presigned) checkHeld(apex, dnskeys, plan)
    else checkForeign(apex, dnskeys, plan)
  }
  const keysSigned = plan.keySigners.length > 0 || plan.settings.ready !== undefined
  if (keysSigned && plan.zoneSigners.length > 0) return
  throw refused(apex, {
    code: 'NO_KEYS',
    rule: 'no-keys',
    what: 'no key signs the DNSKEY RRset, or none the zone',
  })
}

function checkHeld(apex: Name, dnskeys: readonly Uint8Array[], plan: SigningPlan): void {
  if (dnskeys.some(dnskey => isAmong(dnskey, plan.heldKeys()))) return
  const tags = tagsOf(dnskeys)
  const by = tags === '' ? 'keys that it does not list' : `keys ${tags}`
  const what =
    `the zone is signed by ${by}, none of which is held here. ` +
    'Serve it as it is with --no-sign, import its keys with `conclave keys import`, or sign it anew with --replace-keys ' +
    '(the DS at the parent must change first)'
  throw refused(apex, { code: 'SIGNED_BY_OTHERS', rule: 'signed-by-others', what })
}

/** RFC 8901 §2.1.2: a zone without the other signers' keys is bogus to whoever has answers of theirs. */
function checkForeign(apex: Name, dnskeys: readonly Uint8Array[], plan: SigningPlan): void {
  const strange = strangeKeys(dnskeys, plan)
  if (strange.length === 0) return
  const what =
    `the zone has DNSKEY records of keys that are not held here: ${tagsOf(strange)}. ` +
    'Publish them beside ours with --foreign-keys include, import them with `conclave keys import`, ' +
    'or leave them out with --replace-keys'
  throw refused(apex, { code: 'FOREIGN_KEYS', rule: 'foreign-keys', what })
}

function refused(apex: Name, why: { code: string; rule: string; what: string }): BuildStop {
  const { code, rule, what } = why
  const fault: Fault = { place: { zone: nameToText(apex) }, what, severity: 'error', rule }
  return new BuildStop({ kind: 'refused', code, faults: [fault] })
}

function tagsOf(dnskeys: readonly Uint8Array[]): string {
  return dnskeys.map(dnskey => `${keyTagOf(dnskey)} (algorithm ${dnskey[3]})`).join(', ')
}

function isAmong(rdata: Uint8Array, all: readonly Uint8Array[]): boolean {
  return all.some(one => compareOctets(one, rdata) === 0)
}

/** Those that are neither held nor included. */
function strangeKeys(dnskeys: readonly Uint8Array[], plan: SigningPlan): Uint8Array[] {
  const known = [...plan.heldKeys(), ...(plan.settings.foreign?.dnskey ?? [])]
  return dnskeys.filter(dnskey => !isAmong(dnskey, known))
}

/** Tells of records at the apex that the input has and the signer makes itself. */
export function replacedRecords({ edits, store, apex }: BuildInput, plan: SigningPlan): Fault[] {
  const node = edits.kind === 'all' ? apexNode(store, edits.content.tree.root) : undefined
  if (edits.kind !== 'all' || node === undefined) return []
  const place = { zone: nameToText(apex) }
  const warning = (what: string): Fault[] => [{ place, what, severity: 'warning', rule: 'signer-owned' }]
  const dnskeys = rrsetOfType(node, TYPE.DNSKEY)?.rdata ?? []
  if (edits.content.presigned) {
    const strange = strangeKeys(dnskeys, plan)
    if (strange.length === 0) return []
    return warning(
      `keys ${strange.map(keyTagOf).join(', ')} of the input are not held here; their DNSKEY is left out`,
    )
  }
  const { foreign } = plan.settings
  const left = [
    ...(strangeKeys(dnskeys, plan).length > 0 ? [TYPE.DNSKEY] : []),
    ...(foreign === undefined && rrsetOfType(node, TYPE.CDS) !== undefined ? [TYPE.CDS] : []),
    ...(foreign === undefined && rrsetOfType(node, TYPE.CDNSKEY) !== undefined ? [TYPE.CDNSKEY] : []),
    ...(rrsetOfType(node, TYPE.NSEC3PARAM) !== undefined ? [TYPE.NSEC3PARAM] : []),
  ]
  const types = left.map(typeToText)
  return types.length === 0 ? [] : warning(`${types.join(', ')} of the input give way to the signer's own`)
}

/** The NSEC3 tree of content that is served as it is: its RRsets of the chain of `nsec3param`, by raw hash. */
export function moveNsec3(store: Store, root: number, nsec3param: Uint8Array): TreeDraft {
  const tree = store.newTree()
  const cursor = store.readTree()
  // Base32hex keeps the order of hashes (RFC 4648 §7), so keys are put in ascending order.
  for (let placed = cursor.seekFirst(root); placed; placed = cursor.next()) {
    if (cursor.loadKey() !== HASHED_KEY_OCTETS) continue
    const node = cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd)
    const rrset = rrsetOfType(node, TYPE.NSEC3)
    const rdata = rrset?.rdata[0]
    if (rrset === undefined || rdata === undefined || !sameChain(rdata, nsec3param)) continue
    const hash = readBase32Hex(currentKey(cursor), 0)
    if (hash !== undefined) tree.put(hash, encodeNode({ flags: 0, cutLabels: 0, rrsets: [rrset] }))
  }
  return tree
}

/** How a zone that is served as it is denies. RFC 5155 §6: opt-out shows in the flags of the records. */
export function denialInContent(store: Store, apex: Uint8Array, nsec3Root: number): Denial {
  if (nsec3Root === 0) return rrsetOfType(apex, TYPE.NSEC) === undefined ? DENIAL_NONE : DENIAL_NSEC
  const cursor = store.readTree()
  for (let placed = cursor.seekFirst(nsec3Root); placed; placed = cursor.next()) {
    const node = cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd)
    const rdata = rrsetOfType(node, TYPE.NSEC3)?.rdata[0]
    if (rdata !== undefined && (rdata[1]! & FLAG_OPT_OUT) !== 0) return DENIAL_OPT_OUT
  }
  return DENIAL_NSEC3
}

/** Iterations and salt of the apex's first NSEC3PARAM. */
export function parametersInContent(apex: Uint8Array): Nsec3Parameters {
  const rdata = rrsetOfType(apex, TYPE.NSEC3PARAM)?.rdata[0]
  if (rdata === undefined) return NO_NSEC3_PARAMETERS
  return { iterations: u16(rdata, 2), salt: rdata.slice(5, 5 + rdata[4]!) }
}

/** Whether content carries signatures of its own keys. */
export function isSignedContent(apex: Uint8Array): boolean {
  const soa = rrsetOfType(apex, TYPE.SOA)
  return rrsetOfType(apex, TYPE.DNSKEY) !== undefined && soa !== undefined && soa.signatures.length > 0
}
