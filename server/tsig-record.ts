/** The TSIG record on the wire (RFC 8945 §4.2), and what of it goes into a digest (§4.3).
 *
 *    key name  TSIG ANY 0 RDLENGTH | algorithm  time(48) fudge  MAC size MAC  original ID  error  other size other
 *
 *  I1  Reading stays within the record, but for pointers of the key name, which point back.
 *  I2  Key and algorithm names are in canonical form, and written out in full (RFC 8945 §4.3.3). */
import {
  canonicalName,
  LABEL_OCTETS_MAX,
  NAME_OCTETS_MAX,
  type Name,
  nameLengthAt,
} from '../zones/reading.ts'

/** RFC 8945 §4.2. */
export const TYPE_TSIG = 250
const CLASS_ANY = 255

/** RFC 8945 §3: values of the Error field. */
export const TSIG_NOERROR = 0
export const TSIG_BADSIG = 16
export const TSIG_BADKEY = 17
export const TSIG_BADTIME = 18
export const TSIG_BADTRUNC = 22

export interface TsigRecord {
  readonly keyName: Name
  readonly algorithmName: Name
  /** Seconds since the Unix epoch: 48 bits. */
  readonly timeSigned: number
  readonly fudge: number
  readonly mac: Uint8Array
  readonly originalId: number
  readonly error: number
  readonly other: Uint8Array
}

/** Type, class, TTL and RDLENGTH behind the owner. */
const RECORD_FIXED_OCTETS = 10
/** Time signed, fudge, MAC size; original ID, error and other size. */
const TIMERS_OCTETS = 8
const RDATA_FIXED_OCTETS: number = TIMERS_OCTETS + 2 + 6

/** The record at `octets[start..end)`; undefined when it cannot be interpreted (RFC 8945 §5.2). */
export function readTsig(octets: Uint8Array, start: number, end: number): TsigRecord | undefined {
  const view = new DataView(octets.buffer, octets.byteOffset, end)
  const owner = readName(octets, start, end)
  if (owner === undefined) return undefined
  const fixed = owner.end
  // RFC 8945 §4.2: class ANY, TTL 0.
  if (view.getUint16(fixed + 2) !== CLASS_ANY || view.getUint32(fixed + 4) !== 0) return undefined
  const rdata = fixed + RECORD_FIXED_OCTETS
  // RFC 3597 §4: no pointers in RDATA of types newer than RFC 1035's.
  const algorithmOctets = nameLengthAt(octets, rdata, end)
  const timers = rdata + algorithmOctets
  if (algorithmOctets < 0 || timers + RDATA_FIXED_OCTETS > end) return undefined
  const mac = timers + TIMERS_OCTETS + 2
  const macEnd = mac + view.getUint16(mac - 2)
  if (macEnd + 6 > end) return undefined
  const other = macEnd + 6
  if (other + view.getUint16(macEnd + 4) !== end) return undefined
  return {
    keyName: canonicalName(owner.name),
    algorithmName: canonicalName(octets.subarray(rdata, timers) as Name),
    timeSigned: view.getUint16(timers) * 2 ** 32 + view.getUint32(timers + 2),
    fudge: view.getUint16(timers + 6),
    mac: new Uint8Array(octets.subarray(mac, macEnd)),
    originalId: view.getUint16(macEnd),
    error: view.getUint16(macEnd + 2),
    other: new Uint8Array(octets.subarray(other, end)),
  }
}

/** I1. A name with pointers, written out. */
function readName(
  octets: Uint8Array,
  start: number,
  end: number,
): { readonly name: Name; readonly end: number } | undefined {
  const out = new Uint8Array(NAME_OCTETS_MAX)
  let length = 0
  let behind = 0
  let limit = start
  for (let at = start; at < end; ) {
    const labelOctets = octets[at]!
    if (labelOctets >= 0xc0) {
      if (at + 2 > end) return undefined
      if (behind === 0) behind = at + 2
      at = ((labelOctets & 63) << 8) | octets[at + 1]!
      if (at >= limit) return undefined
      limit = at
      continue
    }
    const next = at + 1 + labelOctets
    if (labelOctets > LABEL_OCTETS_MAX || next > end || length + next - at > NAME_OCTETS_MAX) return undefined
    out.set(octets.subarray(at, next), length)
    length += next - at
    if (labelOctets === 0) return { name: out.slice(0, length) as Name, end: behind === 0 ? next : behind }
    at = next
  }
  return undefined
}

/** Octets of the whole record. */
export function tsigOctets(
  keyName: Name,
  algorithmName: Name,
  macOctets: number,
  otherOctets: number,
): number {
  const rdata = algorithmName.length + RDATA_FIXED_OCTETS + macOctets + otherOctets
  return keyName.length + RECORD_FIXED_OCTETS + rdata
}

/** Writes the record; returns the offset behind it. */
export function writeTsig(record: TsigRecord, out: Uint8Array, start: number): number {
  const { keyName, algorithmName, mac, other } = record
  const end = start + tsigOctets(keyName, algorithmName, mac.length, other.length)
  const view = new DataView(out.buffer, out.byteOffset, out.length)
  out.set(keyName, start)
  let at = start + keyName.length
  view.setUint16(at, TYPE_TSIG)
  view.setUint16(at + 2, CLASS_ANY)
  view.setUint32(at + 4, 0)
  at += RECORD_FIXED_OCTETS
  view.setUint16(at - 2, end - at)
  out.set(algorithmName, at)
  at += algorithmName.length
  out.set(tsigTimers(record), at)
  at += TIMERS_OCTETS + 2
  view.setUint16(at - 2, mac.length)
  out.set(mac, at)
  at += mac.length
  view.setUint16(at, record.originalId)
  view.setUint16(at + 2, record.error)
  view.setUint16(at + 4, other.length)
  out.set(other, at + 6)
  return end
}

/** RFC 8945 §4.3.3: the TSIG variables. */
export function tsigVariables(record: TsigRecord): Uint8Array {
  const { keyName, algorithmName, error, other } = record
  const tail = [error >> 8, error & 255, other.length >> 8, other.length & 255]
  const classAndTtl = [CLASS_ANY >> 8, CLASS_ANY & 255, 0, 0, 0, 0]
  return Buffer.concat([
    keyName,
    Uint8Array.from(classAndTtl),
    algorithmName,
    tsigTimers(record),
    Uint8Array.from(tail),
    other,
  ])
}

/** RFC 8945 §4.3.3.1: the TSIG timers, of messages behind the first of several. */
export function tsigTimers({ timeSigned, fudge }: Pick<TsigRecord, 'timeSigned' | 'fudge'>): Uint8Array {
  const out = new Uint8Array(TIMERS_OCTETS)
  out.set(timeOctets(timeSigned))
  out[6] = fudge >> 8
  out[7] = fudge
  return out
}

/** 48 bits of a time. */
export function timeOctets(seconds: number): Uint8Array {
  const out = new Uint8Array(6)
  const view = new DataView(out.buffer)
  view.setUint16(0, Math.floor(seconds / 2 ** 32))
  view.setUint32(2, seconds >>> 0)
  return out
}
