/** What every server of a zone of ours serves: whether a version, or a DNSKEY RRset, has reached all of them (RFC 7583
 *  §3.2.1, Dprp: the propagation delay, observed instead of assumed).
 *
 *  I1  `everywhere` only when every server answered with authority and serves what is wanted.
 *  I2  Serial and DNSKEY are two questions. A server that changes its version in between has at least the serial it said;
 *      behind one anycast address the two may reach different servers. */
import { isSerialAfter } from '../signer/index.ts'
import { compareOctets, type Name, TYPE } from '../zones/index.ts'
import type { ListenAddress } from './address.ts'
import { askEach, askForOwnData, fault, faultsText, type Said, said } from './ask-each.ts'
import { type Found, givenServers, namedServers, serversOf, type Target, unknown } from './ask-find.ts'
import { recordsOf } from './ask-response.ts'
import type { AskOptions, ServerNames, ZoneObservation, ZoneWants } from './ask-types.ts'

/** Asks the servers given by address or by name, or all that a resolver knows of the zone. Never rejects. */
export async function observeZone(
  zone: Name,
  servers: readonly string[] | ServerNames | undefined,
  wants: ZoneWants,
  options: AskOptions,
): Promise<ZoneObservation> {
  const found = await targetsOf(zone, servers, options)
  if (found.kind === 'unknown') return found
  const all = await askEach(found.value, address => askForVersion(address, zone, wants, options))
  if (options.signal?.aborted === true) return unknown('the questions were given up')
  if (all.every(one => one.kind === 'fault'))
    return unknown(`no server of the zone answers: ${faultsText(all)}`)
  const perServer = all.flatMap(one => {
    if (one.kind === 'fault') return [{ server: one.server, what: one.fault }]
    const { serial, lack } = one.value
    return lack === undefined ? [] : [{ server: one.server, serial, what: lack }]
  })
  if (perServer.length > 0) return { kind: 'lagging', perServer }
  const atUnix = Math.ceil(options.clock.now())
  return { kind: 'everywhere', servers: all.map(({ server }) => server), atUnix }
}

async function targetsOf(
  zone: Name,
  servers: readonly string[] | ServerNames | undefined,
  options: AskOptions,
): Promise<Found<readonly Target[]>> {
  if (servers === undefined) return serversOf(zone, options)
  return 'names' in servers ? namedServers(servers, options) : givenServers(servers)
}

interface VersionAtServer {
  readonly serial: number
  /** What it does not serve of what is wanted. */
  readonly lack: string | undefined
}

async function askForVersion(
  address: ListenAddress,
  zone: Name,
  wants: ZoneWants,
  options: AskOptions,
): Promise<Said<VersionAtServer>> {
  const answered = await askForOwnData(address, { name: zone, type: TYPE.SOA }, options)
  if (answered.kind === 'fault') return answered
  const soa = recordsOf(answered.value.answer, zone, TYPE.SOA)[0]
  if (soa === undefined) return fault('it has no SOA of the zone')
  const serial = serialOf(soa.rdata)
  const lack = lackOfSerial(serial, wants.serialAtLeast)
  if (lack !== undefined || wants.dnskeys === undefined) return said({ serial, lack })
  const keys = await askForOwnData(address, { name: zone, type: TYPE.DNSKEY }, options)
  if (keys.kind === 'fault') return fault(`DNSKEY: ${keys.fault}`, keys.noRoute)
  const served = recordsOf(keys.value.answer, zone, TYPE.DNSKEY).map(({ rdata }) => rdata)
  return said({ serial, lack: lackOfKeys(served, wants.dnskeys) })
}

/** RFC 1035 §3.3.13: the first of five numbers behind two names. */
function serialOf(rdata: Uint8Array): number {
  return new DataView(rdata.buffer, rdata.byteOffset).getUint32(rdata.length - 20)
}

function lackOfSerial(serial: number, wanted: number | undefined): string | undefined {
  if (wanted === undefined || serial === wanted || isSerialAfter(serial, wanted)) return undefined
  return `it serves serial ${serial}, not yet ${wanted}`
}

function lackOfKeys(served: readonly Uint8Array[], wanted: readonly Uint8Array[]): string | undefined {
  const missing = wanted.filter(key => !holds(served, key)).length
  const surplus = served.filter(key => !holds(wanted, key)).length
  if (missing + surplus === 0) return undefined
  return `of its DNSKEY records ${missing} are missing and ${surplus} not wanted`
}

function holds(keys: readonly Uint8Array[], key: Uint8Array): boolean {
  return keys.some(other => compareOctets(other, key) === 0)
}
