/** The rules that a change of a program is held against: the error rules of zones/rules.ts, asked of the names that
 *  change and of what is above and below them, never of the whole zone. */
import { ConclaveError } from '../base/index.ts'
import {
  type Name,
  type NodeRRset,
  nameOfKey,
  nameToText,
  RECORD_HEADER_OCTETS,
  RRSETS_PER_NAME_MAX,
  rrsetOctetsMax,
  TYPE,
  typeToText,
} from '../zones/index.ts'

/** What a program has said of one owner name. */
export interface OwnerContent {
  /** Relative to the apex. */
  readonly key: Uint8Array
  readonly rrsets: readonly NodeRRset[]
  readonly spelling?: Uint8Array
}

/** A zone with its changes so far. */
export interface ProgramContent {
  readonly apex: Name
  owner(key: Uint8Array): OwnerContent
  /** Names below that key, in any order, some of them without content. */
  below(key: Uint8Array): Iterable<OwnerContent>
}

export function changeFault(
  code: string,
  owner: Name,
  type: number | undefined,
  what: string,
): ConclaveError {
  const typeText = type === undefined ? '' : ` ${typeToText(type)}`
  return new ConclaveError(code, what, { place: { record: nameToText(owner) + typeText } })
}

/** Rules about one name.
 *  @throws ConclaveError */
export function checkOwner({ key, rrsets }: OwnerContent, apex: Name): void {
  const name = nameOfKey(key, apex)
  const has = (type: number): boolean => rrsets.some(rrset => rrset.type === type)
  if (key.length === 0 && !has(TYPE.SOA)) {
    throw changeFault('ZONE_WITHOUT_SOA', name, TYPE.SOA, 'the apex must keep its SOA')
  }
  if (key.length > 0 && has(TYPE.SOA)) {
    throw changeFault('SOA_BELOW_APEX', name, TYPE.SOA, 'only the apex has a SOA')
  }
  if (has(TYPE.CNAME) && rrsets.some(({ type }) => type !== TYPE.CNAME && !besideCname(type))) {
    // RFC 2181 §10.1; what RFC 4035 §2.5 allows beside it is the signer's own.
    throw changeFault('CNAME_AND_OTHER', name, TYPE.CNAME, 'a name with a CNAME has no other records')
  }
  if (rrsets.length > RRSETS_PER_NAME_MAX - SIGNER_RRSETS) {
    throw changeFault('NAME_TOO_LARGE', name, undefined, `${rrsets.length} types at one name`)
  }
  for (const rrset of rrsets) checkSize(name, rrset)
}

/** NSEC, and at the apex DNSKEY, CDS, CDNSKEY, NSEC3PARAM, ZONEMD. */
const SIGNER_RRSETS = 6

/** RFC 2535 §4.1.8, §5.2, RFC 3007 §3.1.1, as lint has it. */
function besideCname(type: number): boolean {
  return type === TYPE.SIG || type === TYPE.KEY || type === TYPE.NXT
}

function checkSize(name: Name, { type, rdata }: NodeRRset): void {
  let octets = 0
  for (const one of rdata) octets += RECORD_HEADER_OCTETS + one.length
  if (octets <= rrsetOctetsMax(name.length)) return
  throw changeFault('RRSET_TOO_LARGE', name, type, 'the RRset is larger than a message can hold')
}

/** RFC 6672 §2.4: no names below a DNAME. Below a zone cut nothing is ours to judge.
 *  @throws ConclaveError */
export function checkPlace(zone: ProgramContent, owner: OwnerContent): void {
  if (owner.rrsets.length === 0) return
  const { key } = owner
  for (let length = 0; length < key.length; length = key.indexOf(0, length) + 1) {
    const above = zone.owner(key.slice(0, length))
    if (isCut(above)) return
    if (hasDname(above)) throw belowDname(zone, key, above)
  }
  if (isCut(owner) || !hasDname(owner)) return
  for (const below of zone.below(key)) {
    if (below.rrsets.length > 0) throw belowDname(zone, below.key, owner)
  }
}

export function isCut({ key, rrsets }: OwnerContent): boolean {
  return key.length > 0 && rrsets.some(({ type }) => type === TYPE.NS)
}

function hasDname({ rrsets }: OwnerContent): boolean {
  return rrsets.some(({ type }) => type === TYPE.DNAME)
}

function belowDname({ apex }: ProgramContent, key: Uint8Array, above: OwnerContent): ConclaveError {
  const at = nameToText(nameOfKey(above.key, apex))
  return changeFault(
    'BELOW_DNAME',
    nameOfKey(key, apex),
    undefined,
    `there are no names below the DNAME at ${at}`,
  )
}
