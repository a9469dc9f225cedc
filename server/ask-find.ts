/** Which servers to ask: addresses as they are given, or as resolvers say who serves a zone and where.
 *
 *  Resolvers find servers and nothing else. What a resolver says of the DS itself would be one server's answer of some time
 *  in the past, which confirms nothing: where the parent's servers cannot be reached directly, an operator's word or time
 *  has to do. Resolvers are trusted as those of the operator; their answers are not validated here.
 *
 *  I1  Every server of the zone is in the result, as an address to ask or as a fault: none is left out unseen. */
import { isIPv4, isIPv6 } from 'node:net'
import {
  asName,
  compareOctets,
  isAtOrBelow,
  type Name,
  nameToText,
  TYPE,
  typeToText,
} from '../zones/index.ts'
import { type ListenAddress, listenAddressText, parseListenAddress } from './address.ts'
import { askServer } from './ask.ts'
import { type Response, rcodeText, recordsOf } from './ask-response.ts'
import type { AskOptions, ServerNames } from './ask-types.ts'
import { RCODE_NOERROR, RCODE_NXDOMAIN } from './rcode.ts'

/** A server to ask. */
export interface AddressTarget {
  readonly kind: 'address'
  /** `ADDRESS@PORT` */
  readonly server: string
  readonly address: ListenAddress
  /** Its names in the NS RRset; none when the address was given. */
  readonly names: readonly string[]
}

/** A server that cannot be asked. */
export interface FaultTarget {
  readonly kind: 'fault'
  readonly server: string
  readonly fault: string
}

export type Target = AddressTarget | FaultTarget

export type Found<T> =
  | { readonly kind: 'found'; readonly value: T }
  | { readonly kind: 'unknown'; readonly why: string }

export function unknown(why: string): { readonly kind: 'unknown'; readonly why: string } {
  return { kind: 'unknown', why }
}

/** The root and most top-level zones have 13 names with two addresses each. */
const NAMES_MAX = 32
export const SERVERS_MAX: number = 2 * NAMES_MAX
/** RFC 1035 §4.2: both transports. */
const PORT = 53

/** Servers whose addresses are given. */
export function givenServers(addresses: readonly string[]): Found<AddressTarget[]> {
  const targets: AddressTarget[] = []
  for (const text of addresses) {
    const address = addressOf(text)
    if (address === undefined) return unknown(`${JSON.stringify(text)} is not ADDRESS@PORT`)
    targets.push({ kind: 'address', server: listenAddressText(address), address, names: [] })
  }
  return bounded(targets)
}

function addressOf(text: string): ListenAddress | undefined {
  try {
    const address = parseListenAddress(text)
    return address.port === 0 ? undefined : address
  } catch {
    return undefined
  }
}

/** Each server once: two names may have the same address. */
function bounded<T extends Target>(targets: readonly T[]): Found<T[]> {
  const servers = new Map<string, T>()
  for (const target of targets) {
    const other = servers.get(target.server)
    if (other?.kind === 'address' && target.kind === 'address') {
      servers.set(target.server, { ...target, names: [...other.names, ...target.names] })
    } else servers.set(target.server, target)
  }
  if (servers.size === 0) return unknown('there are no servers to ask')
  if (servers.size > SERVERS_MAX) return unknown(`there are more than ${SERVERS_MAX} servers to ask`)
  return { kind: 'found', value: [...servers.values()] }
}

/** The apex of the parent: the closest zone above, which need not be one label up (RFC 1034 §4.2). */
export async function parentOf(zone: Name, options: AskOptions): Promise<Found<Name>> {
  if (zone.length === 1) return unknown('the root zone has no parent')
  let name = aboveOf(zone)
  for (;;) {
    const asked = await askResolvers(name, TYPE.SOA, options)
    if (asked.kind === 'unknown') return asked
    const apex = apexFrom(asked.value, name)
    if (apex !== undefined) return { kind: 'found', value: apex }
    // A CNAME at the name, or a resolver that leaves the authority section out.
    if (name.length === 1) return unknown('the resolver knows no SOA above the zone')
    name = aboveOf(name)
  }
}

function aboveOf(name: Name): Name {
  return asName(name.subarray(1 + name[0]!))
}

/** RFC 2308 §3: a negative answer has the SOA of the zone that the name is in. */
function apexFrom(response: Response, name: Name): Name | undefined {
  if (recordsOf(response.answer, name, TYPE.SOA).length > 0) return name
  if (response.answer.some(({ type }) => type === TYPE.CNAME || type === TYPE.DNAME)) return undefined
  const soa = response.authority.find(({ type, owner }) => type === TYPE.SOA && isAtOrBelow(name, owner))
  return soa?.owner
}

/** All servers of the zone by its NS RRset, as the resolver has it. */
export async function serversOf(apex: Name, options: AskOptions): Promise<Found<Target[]>> {
  const asked = await askResolvers(apex, TYPE.NS, options)
  if (asked.kind === 'unknown') return asked
  const records = recordsOf(asked.value.answer, apex, TYPE.NS)
  // Resolvers change the order from answer to answer; what is reported keeps one.
  const names = records.map(({ rdata }) => asName(rdata)).sort(compareOctets)
  if (names.length === 0) return unknown(`the resolver knows no servers of ${nameToText(apex)}`)
  return namedServers({ names }, options)
}

/** All addresses of servers that are known by name. */
export async function namedServers(servers: ServerNames, options: AskOptions): Promise<Found<Target[]>> {
  const { names, addressesOf } = servers
  if (names.length > NAMES_MAX) return unknown(`there are more than ${NAMES_MAX} names of servers`)
  const found = await Promise.all(
    names.map(name => {
      const known = addressesOf?.(name)
      return known === undefined ? resolvedAddresses(name, options) : targetsAt(name, known, options)
    }),
  )
  return bounded(found.flat())
}

async function resolvedAddresses(name: Name, options: AskOptions): Promise<Target[]> {
  const asked = await Promise.all([TYPE.A, TYPE.AAAA].map(type => addressRecords(name, type, options)))
  const addresses: string[] = []
  for (const one of asked) {
    // Not to know an address of a server is not to have asked the server (I1).
    if (one.kind === 'unknown') return [{ kind: 'fault', server: nameToText(name), fault: one.why }]
    addresses.push(...one.value)
  }
  return targetsAt(name, addresses, options)
}

/** RFC 2181 §10.3: the name of a server is no alias, so its records stand at the name itself. */
async function addressRecords(name: Name, type: number, options: AskOptions): Promise<Found<string[]>> {
  const asked = await askResolvers(name, type, options)
  if (asked.kind === 'unknown') return asked
  const records = recordsOf(asked.value.answer, name, type)
  const sorted = records.map(({ rdata }) => rdata).sort(compareOctets)
  return { kind: 'found', value: sorted.map(addressText) }
}

function targetsAt(name: Name, addresses: readonly string[], options: AskOptions): Target[] {
  const text = nameToText(name)
  if (addresses.length === 0) return [{ kind: 'fault', server: text, fault: 'it has no address' }]
  return addresses.map(host => {
    if (!isIPv4(host) && !isIPv6(host)) {
      return { kind: 'fault', server: text, fault: `${JSON.stringify(host)} is not an address` }
    }
    const address = { host, port: options.port ?? PORT }
    return { kind: 'address', server: listenAddressText(address), address, names: [text] }
  })
}

/** RDATA of A or AAAA as `node:net` writes addresses. */
function addressText(rdata: Uint8Array): string {
  if (rdata.length === 4) return rdata.join('.')
  const groups = Array.from({ length: 8 }, (_, at) =>
    ((rdata[2 * at]! << 8) | rdata[2 * at + 1]!).toString(16),
  )
  return groups.join(':')
}

/** The first resolver that knows; NXDOMAIN is an answer (RFC 2308 §2.1). */
async function askResolvers(name: Name, type: number, options: AskOptions): Promise<Found<Response>> {
  const what = `${nameToText(name)} ${typeToText(type)}`
  const resolvers = givenServers(options.resolver ?? [])
  if (resolvers.kind === 'unknown') return unknown(`no resolver: ${resolvers.why}`)
  const faults: string[] = []
  for (const { server, address } of resolvers.value) {
    const outcome = await askServer(address, { name, type, recursionDesired: true }, options)
    if (outcome.kind === 'failed') faults.push(`${server} on ${what}: ${outcome.why}`)
    else {
      const { rcode } = outcome.response
      if (rcode === RCODE_NOERROR || rcode === RCODE_NXDOMAIN)
        return { kind: 'found', value: outcome.response }
      faults.push(`${server} on ${what}: ${rcodeText(rcode)}`)
    }
  }
  return unknown(faults.join('; '))
}
