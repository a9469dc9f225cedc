/** What keys wait to hear from others, asked now and then (RFC 7583 §3.3.1): the DS RRset at the parent, and the version
 *  that the zone's servers have.
 *  I1  Only what all servers said is an event; anything else is told of, and asked again later. */
import type { Clock, Logger } from '../base/index.ts'
import {
  confirmedDs,
  dnskeyRdata,
  dsMatches,
  type KeyInfo,
  type Questions,
  type RollEvent,
  type SigningPolicy,
  type ZoneTimeline,
} from '../signer/index.ts'
import { asName, decodeNode, isAtOrBelow, keyOf, type Name, type Store, TYPE } from '../zones/index.ts'
import { observeDs } from './ask-parent.ts'
import { observeZone } from './ask-secondaries.ts'
import type { AskOptions, DsObservation, ServerNames } from './ask-types.ts'

export interface Asking {
  readonly zone: Name
  readonly policy: SigningPolicy
  readonly timeline: ZoneTimeline
  readonly infos: readonly KeyInfo[]
  readonly questions: Questions
}

export interface AskingEnvironment {
  readonly clock: Clock
  readonly log: Logger
  readonly signal: AbortSignal
}

/** Something that was seen, and what was asked to see it. */
export interface Seen {
  readonly event: RollEvent
  readonly reason: string
}

/** Whether there is anybody to ask; else an operator has to say what the parent has. */
export function canAsk({ parent }: SigningPolicy, questions: Questions): boolean {
  const parentKnown = parent.servers.length > 0 || parent.resolver.length > 0
  return questions.servers !== undefined || (questions.parent !== undefined && parentKnown)
}

/** Never rejects. */
export async function askParent(
  { zone, policy, timeline, infos, questions }: Asking,
  environment: AskingEnvironment,
): Promise<Seen | string | undefined> {
  const { servers, resolver } = policy.parent
  if (questions.parent === undefined || (servers.length === 0 && resolver.length === 0)) return undefined
  const observed = await observeDs(
    zone,
    servers.length === 0 ? {} : { servers },
    optionsOf(policy, environment),
  )
  if (observed.kind !== 'seen') return whyNot(observed)
  const keys = keysOfDs(zone, infos, observed.ds)
  if (keys === undefined) return 'the parent has a DS of a key that is not known here'
  const wanted = sameSet(keys, questions.parent)
  if (!wanted && sameSet(keys, confirmedDs(timeline))) return 'the parent has the same DS as before'
  const event = { kind: 'ds-confirmed', keys, ttlSeconds: observed.ttl, by: 'parent' } as const
  const which = wanted ? 'the DS that was asked for' : 'another DS than the one asked for'
  return { event, reason: `all ${observed.servers.length} servers of the parent have ${which}` }
}

function optionsOf({ parent }: SigningPolicy, { clock, signal }: AskingEnvironment): AskOptions {
  return { clock, signal, ...(parent.resolver.length === 0 ? {} : { resolver: parent.resolver }) }
}

function whyNot(observed: Exclude<DsObservation, { kind: 'seen' }>): string {
  if (observed.kind === 'unknown') return observed.why
  const said = observed.perServer.map(({ server, ds, fault }) => `${server}: ${fault ?? `${ds?.length} DS`}`)
  return `not all servers of the parent say the same (${said.join('; ')})`
}

/** The keys that the DS RRset points at, each by one DS or more; undefined when one points elsewhere. */
export function keysOfDs(
  zone: Name,
  infos: readonly KeyInfo[],
  ds: readonly Uint8Array[],
): string[] | undefined {
  const found = ds.map(one => infos.find(info => dsMatches(zone, dnskeyRdata(info), one))?.id)
  if (found.includes(undefined)) return undefined
  return [...new Set(found as string[])]
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every(one => b.includes(one))
}

/** Never rejects. */
export async function askServers(
  { zone, policy, questions }: Asking,
  serversByName: () => ServerNames,
  environment: AskingEnvironment,
): Promise<Seen | string | undefined> {
  const { servers: serial } = questions
  if (serial === undefined) return undefined
  const wants = { serialAtLeast: serial }
  const servers = policy.secondaries.length > 0 ? policy.secondaries : serversByName()
  const observed = await observeZone(zone, servers, wants, optionsOf(policy, environment))
  if (observed.kind === 'unknown') return observed.why
  if (observed.kind === 'lagging') {
    return `not all servers of the zone have it (${observed.perServer.map(({ server, what }) => `${server}: ${what}`).join('; ')})`
  }
  const reason = `all ${observed.servers.length} servers of the zone have serial ${serial}`
  return { event: { kind: 'everywhere', serial }, reason }
}

/** The zone's servers by its NS RRset, with the addresses that it has itself. */
export function serversOfZone(store: Store, apex: Name, namesRoot: number): ServerNames {
  const names = rdataAt(store, namesRoot, new Uint8Array(0), TYPE.NS).map(asName)
  return {
    names,
    addressesOf: name => {
      if (!isAtOrBelow(name, apex)) return undefined
      const key = keyOf(name).subarray(keyOf(apex).length)
      const addresses = [
        ...rdataAt(store, namesRoot, key, TYPE.A).map(octets => octets.join('.')),
        ...rdataAt(store, namesRoot, key, TYPE.AAAA).map(addressOf),
      ]
      return addresses.length === 0 ? undefined : addresses
    },
  }
}

function rdataAt(store: Store, root: number, key: Uint8Array, type: number): Uint8Array[] {
  const cursor = store.readTree()
  if (root === 0 || !cursor.find(root, key, 0, key.length)) return []
  const node = decodeNode(cursor.bytes.slice(cursor.valueStart, cursor.valueEnd))
  return [...(node.rrsets.find(rrset => rrset.type === type)?.rdata ?? [])]
}

/** RFC 4291 §2.2, without shortening. */
function addressOf(octets: Uint8Array): string {
  const hex = Buffer.from(octets).toString('hex')
  return hex.match(/.{4}/g)!.join(':')
}
