/** What the catalogue holds for a zone: its trees, serials and how it denies. Fixed fields first, so that answering
 *  reads them in place.
 *
 *    namesRoot:u32 nsec3Root:u32 serial:u32 sourceSerial:u32 names:u32 records:u32
 *    denial:u8 signed:u8 iterations:u16 saltLength:u8 apexLength:u8 salt apex */

import { asName, type Name } from './name.ts'
import { u16, u32 } from './node.ts'

export const DENIAL_NONE = 0
export const DENIAL_NSEC = 1
export const DENIAL_NSEC3 = 2
/** NSEC3 whose chain leaves out insecure delegations (RFC 5155 §6). */
export const DENIAL_OPT_OUT = 3
export type Denial = 0 | 1 | 2 | 3

export interface ZoneRecord {
  /** Relative key → node. */
  readonly namesRoot: number
  /** Raw hash → node with one NSEC3 RRset; 0: none. */
  readonly nsec3Root: number
  /** The SOA serial that is served. */
  readonly serial: number
  /** The SOA serial of the source, before any policy changed it. */
  readonly sourceSerial: number
  readonly denial: Denial
  readonly signed: boolean
  /** RFC 5155 §4.1; without meaning unless the denial is NSEC3. */
  readonly nsec3: { readonly iterations: number; readonly salt: Uint8Array }
  /** Nodes of the names tree. */
  readonly names: number
  /** Records, RRSIGs and NSEC or NSEC3 included. */
  readonly records: number
  readonly apex: Name
}

const FIXED_OCTETS = 30
const noSalt = new Uint8Array(0)

export function encodeZoneRecord(zone: ZoneRecord): Uint8Array {
  const { salt, iterations } = zone.nsec3
  const octets = new Uint8Array(FIXED_OCTETS + salt.length + zone.apex.length)
  putU32(octets, 0, zone.namesRoot)
  putU32(octets, 4, zone.nsec3Root)
  putU32(octets, 8, zone.serial)
  putU32(octets, 12, zone.sourceSerial)
  putU32(octets, 16, zone.names)
  putU32(octets, 20, zone.records)
  octets[24] = zone.denial
  octets[25] = zone.signed ? 1 : 0
  octets[26] = iterations >>> 8
  octets[27] = iterations
  octets[28] = salt.length
  octets[29] = zone.apex.length
  octets.set(salt, FIXED_OCTETS)
  octets.set(zone.apex, FIXED_OCTETS + salt.length)
  return octets
}

function putU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
}

/** The record at `start`, with copies of salt and apex. */
export function decodeZoneRecord(octets: Uint8Array, start = 0): ZoneRecord {
  const saltAt = zoneSaltAt(start)
  const apexAt = zoneApexAt(octets, start)
  return {
    namesRoot: zoneNamesRoot(octets, start),
    nsec3Root: zoneNsec3Root(octets, start),
    serial: zoneSerial(octets, start),
    sourceSerial: u32(octets, start + 12),
    denial: zoneDenial(octets, start),
    signed: zoneSigned(octets, start),
    nsec3: {
      iterations: zoneIterations(octets, start),
      salt: saltAt === apexAt ? noSalt : octets.slice(saltAt, apexAt),
    },
    names: u32(octets, start + 16),
    records: u32(octets, start + 20),
    apex: asName(octets.slice(apexAt, apexAt + zoneApexLength(octets, start))),
  }
}

export function zoneNamesRoot(octets: Uint8Array, start: number): number {
  return u32(octets, start)
}

export function zoneNsec3Root(octets: Uint8Array, start: number): number {
  return u32(octets, start + 4)
}

export function zoneSerial(octets: Uint8Array, start: number): number {
  return u32(octets, start + 8)
}

export function zoneDenial(octets: Uint8Array, start: number): Denial {
  return octets[start + 24] as Denial
}

export function zoneSigned(octets: Uint8Array, start: number): boolean {
  return octets[start + 25] === 1
}

export function zoneIterations(octets: Uint8Array, start: number): number {
  return u16(octets, start + 26)
}

export function zoneSaltAt(start: number): number {
  return start + FIXED_OCTETS
}

export function zoneSaltLength(octets: Uint8Array, start: number): number {
  return octets[start + 28]!
}

export function zoneApexAt(octets: Uint8Array, start: number): number {
  return start + FIXED_OCTETS + octets[start + 28]!
}

export function zoneApexLength(octets: Uint8Array, start: number): number {
  return octets[start + 29]!
}
