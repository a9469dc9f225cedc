/** The first version of a zone that is served as it is: its content's tree becomes the version's own, annotated in place
 *  (adopt.ts). Nothing is planned, signed, moved or compared, so thousands of small zones need nothing of build.ts.
 *  I1  The version is what build.ts would make of the same content.
 *  I2  The apex is content, but for the serial, which goes to where it stands. */

import {
  DENIAL_NONE,
  DENIAL_NSEC,
  decodeNode,
  findRRset,
  RECORD_HEADER_OCTETS,
  RRSET_HEADER_OCTETS,
  TYPE,
  u16,
  type ZoneContent,
} from '../zones/index.ts'
import { adoptTree } from './adopt.ts'
import { NO_NSEC3_PARAMETERS } from './apex.ts'
import { isChanged, nowOf, policyAsIs } from './build-apex.ts'
import type { BuildInput, BuiltVersion } from './build-types.ts'
import type { ContentRules } from './content.ts'
import { scanExpirations } from './expirations.ts'
import { ContentHash } from './fingerprint.ts'
import { checkInputDigest } from './input-digest.ts'
import { isSignedContent } from './presigned.ts'
import { APEX_KEY } from './ranges.ts'
import { nextSerial } from './serial.ts'
import { greatestTtl } from './version-diff.ts'

/** RFC 1035 §3.3.13: SERIAL is the first of five 32-bit fields at the end. */
const SERIAL_FROM_END = 20
/** All is content. */
const RULES: ContentRules = { signs: false }

/** The content whose tree can become the version's; an NSEC3 chain would move to a tree of its own. */
export function adoptable({ edits, previous, signing }: BuildInput): ZoneContent | undefined {
  if (edits.kind !== 'all' || previous !== undefined || signing !== undefined) return undefined
  const apex = edits.content.tree.get(APEX_KEY)
  if (apex === undefined || findRRset(apex, 0, TYPE.SOA) < 0) return undefined
  return findRRset(apex, 0, TYPE.NSEC3PARAM) < 0 ? edits.content : undefined
}

/** @throws BuildStop ZONEMD_MISMATCH; ConclaveError STORE_FULL */
export async function adoptVersion(input: BuildInput, content: ZoneContent): Promise<BuiltVersion> {
  if (hasDigest(content.tree.get(APEX_KEY)!)) await checkInputDigest(input)
  const { tree, soaSerial, records } = content
  const hash = new ContentHash()
  const adopting = adoptTree(tree, (key, keyOctets, octets, start) => {
    if (keyOctets > 0) hash.addWhole(key, keyOctets, octets, start)
    else hash.add(RULES, APEX_KEY, octets.subarray(start))
  })
  if (adopting !== undefined) await adopting
  tree.pack()
  const contentHash = hash.toString()
  const apex = tree.get(APEX_KEY)!
  const serial = serialOf(input, content, apex, contentHash)
  if (serial !== soaSerial) putSerial(apex, serial)
  const signed = content.presigned && isSignedContent(apex)
  const firstExpirationUnix = signed ? await firstExpiration(input, content) : undefined
  return {
    kind: 'built',
    names: tree,
    drafts: [tree],
    dropped: [],
    record: {
      namesRoot: tree.root,
      nsec3Root: 0,
      serial,
      sourceSerial: soaSerial,
      denial: findRRset(apex, 0, TYPE.NSEC) < 0 ? DENIAL_NONE : DENIAL_NSEC,
      signed,
      nsec3: NO_NSEC3_PARAMETERS,
      names: tree.count,
      records,
      apex: input.apex,
    },
    contentHash,
    signaturesMade: 0,
    signaturesReused: 0,
    firstExpirationUnix,
    ttlGreatest: greatestTtl(apex),
    expirationOf: 'zone',
    warnings: [],
    pending: [],
  }
}

function serialOf(
  input: BuildInput,
  { soaSerial, presigned }: ZoneContent,
  apex: Uint8Array,
  contentHash: string,
): number {
  const { lastServed } = input.serial
  const bound = presigned || hasDigest(apex)
  const policy = bound ? policyAsIs(input, decodeNode(apex).rrsets) : input.serial.policy
  const facts = { input, summary: { contentHash }, counts: { made: 0 } }
  const changed = isChanged(facts, policy, soaSerial, lastServed, () => true)
  if (!changed && lastServed !== undefined) return lastServed
  return nextSerial(policy, soaSerial, lastServed, nowOf(input))
}

function hasDigest(apex: Uint8Array): boolean {
  return findRRset(apex, 0, TYPE.ZONEMD) >= 0
}

/** I2. */
function putSerial(apex: Uint8Array, serial: number): void {
  const soa = findRRset(apex, 0, TYPE.SOA) + RRSET_HEADER_OCTETS
  const end = soa + RECORD_HEADER_OCTETS + u16(apex, soa + 10)
  new DataView(apex.buffer, apex.byteOffset).setUint32(end - SERIAL_FROM_END, serial)
}

/** Signatures of a zone that is served as it is are looked at when it is all there. */
async function firstExpiration({ store }: BuildInput, { tree }: ZoneContent): Promise<number | undefined> {
  const { firstUnix, apexUnix } = await scanExpirations(store, tree.root, () => false)
  const first = Math.min(firstUnix, apexUnix)
  return first === Number.POSITIVE_INFINITY ? undefined : first
}
