/** The DS RRset of a zone as all servers of its parent have it (RFC 7583 §3.3.1; RFC 7344 and RFC 8078 for parents that read
 *  CDS). Not here: what the answer means for keys.
 *
 *  I1  `seen` only when every server answered from the parent zone, with authority, and all said the same (ask-types.ts). A
 *      server that is dead, lame or behind makes it `differs`.
 *  I2  That there is no DS is believed only with the parent's SOA: RFC 4035 §3.1.4.1 has servers of the zone itself, that do
 *      not serve the parent, answer NODATA with authority and the zone's own SOA. */
import { compareOctets, isAtOrBelow, type Name, sameName, TYPE } from '../zones/index.ts'
import type { ListenAddress } from './address.ts'
import { askEach, askForOwnData, fault, faultsText, type Said, type SaidBy, said } from './ask-each.ts'
import { type Found, givenServers, parentOf, serversOf, type Target, unknown } from './ask-find.ts'
import { type Response, type ResponseRecord, recordsOf } from './ask-response.ts'
import type { AskOptions, DsObservation } from './ask-types.ts'

/** Asks the servers given, or all that a resolver knows of the parent. Never rejects. */
export async function observeDs(
  zone: Name,
  parent: { readonly servers?: readonly string[] },
  options: AskOptions,
): Promise<DsObservation> {
  if (zone.length === 1) return unknown('the root zone has no parent')
  const found = parent.servers === undefined ? await walk(zone, options) : given(parent.servers)
  if (found.kind === 'unknown') return found
  const { targets, apex } = found.value
  const all = await askEach(targets, address => askForDs(address, zone, apex, options))
  if (options.signal?.aborted === true) return unknown('the questions were given up')
  return judge(all, Math.ceil(options.clock.now()))
}

interface Parent {
  readonly targets: readonly Target[]
  /** Absent when only servers are known. */
  readonly apex?: Name
}

function given(servers: readonly string[]): Found<Parent> {
  const found = givenServers(servers)
  return found.kind === 'unknown' ? found : { kind: 'found', value: { targets: found.value } }
}

async function walk(zone: Name, options: AskOptions): Promise<Found<Parent>> {
  const apex = await parentOf(zone, options)
  if (apex.kind === 'unknown') return apex
  const found = await serversOf(apex.value, options)
  if (found.kind === 'unknown') return found
  return { kind: 'found', value: { targets: found.value, apex: apex.value } }
}

/** A DS RRset, or that there is none, and for how many seconds caches may keep it. */
interface DsAnswer {
  readonly ds: readonly Uint8Array[]
  readonly ttl: number
}

async function askForDs(
  address: ListenAddress,
  zone: Name,
  apex: Name | undefined,
  options: AskOptions,
): Promise<Said<DsAnswer>> {
  const answered = await askForOwnData(address, { name: zone, type: TYPE.DS }, options)
  return answered.kind === 'fault' ? answered : readDs(answered.value, zone, apex)
}

/** What an authoritative NOERROR response says of the zone's DS. */
function readDs(response: Response, zone: Name, apex: Name | undefined): Said<DsAnswer> {
  const { answer, authority } = response
  // A delegation owns neither (RFC 1034 §3.6.2, RFC 6672 §2.4), so the parent has no delegation of the zone.
  if (answer.some(({ type }) => type === TYPE.CNAME || type === TYPE.DNAME)) {
    return fault('a CNAME or DNAME is in the way of the zone')
  }
  const records = recordsOf(answer, zone, TYPE.DS)
  if (records.length > 0) return said({ ds: rrsetOf(records), ttl: largestTtl(records) })
  return readNoDs(authority, zone, apex)
}

function readNoDs(authority: readonly ResponseRecord[], zone: Name, apex: Name | undefined): Said<DsAnswer> {
  const soa = authority.find(({ type }) => type === TYPE.SOA)
  // RFC 2308 §2.2: NODATA without SOA is hard to tell from a referral.
  if (soa === undefined) return fault('it has neither a DS nor the SOA of the parent')
  if (sameName(soa.owner, zone)) return fault('it answers from the zone itself, not from the parent')
  const isParent = apex === undefined ? isAtOrBelow(zone, soa.owner) : sameName(soa.owner, apex)
  if (!isParent) return fault('it answers from a zone that is not the parent')
  return said({ ds: [], ttl: negativeTtl(soa) })
}

/** RFC 2308 §5: the lesser of the SOA's TTL and its MINIMUM, the last four octets. */
function negativeTtl({ ttl, rdata }: ResponseRecord): number {
  return Math.min(ttl, new DataView(rdata.buffer, rdata.byteOffset).getUint32(rdata.length - 4))
}

/** RFC 2181 §5.2: TTLs that differ inside an RRset are an error; what counts here is when the last copy is gone. */
function largestTtl(records: readonly ResponseRecord[]): number {
  return records.reduce((largest, { ttl }) => Math.max(largest, ttl), 0)
}

/** RDATA in canonical order (RFC 4034 §6.3), each once. */
function rrsetOf(records: readonly ResponseRecord[]): Uint8Array[] {
  const sorted = records.map(({ rdata }) => rdata).sort(compareOctets)
  return sorted.filter((rdata, at) => at === 0 || compareOctets(rdata, sorted[at - 1]!) !== 0)
}

function judge(all: readonly SaidBy<DsAnswer>[], atUnix: number): DsObservation {
  const answers = all.filter(one => one.kind === 'said')
  const first = answers[0]
  if (first === undefined) return unknown(`no server of the parent answers: ${faultsText(all)}`)
  if (answers.length === all.length && answers.every(one => sameRrset(one.value.ds, first.value.ds))) {
    const ttl = answers.reduce((largest, one) => Math.max(largest, one.value.ttl), 0)
    return { kind: 'seen', ds: first.value.ds, ttl, servers: all.map(({ server }) => server), atUnix }
  }
  const perServer = all.map(one =>
    one.kind === 'said' ? { server: one.server, ds: one.value.ds } : { server: one.server, fault: one.fault },
  )
  return { kind: 'differs', perServer }
}

function sameRrset(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((rdata, at) => compareOctets(rdata, b[at]!) === 0)
}
