/** Serials of served versions (RFC 1982 §3, RFC 1912 §2.2).
 *  I1  A new version's serial is after the last served one, except that `keep` serves what the source says. */

import type { SerialPolicy } from './build-types.ts'

/** RFC 1982 §3.2 with SERIAL_BITS 32: whether `a` is after `b`; false for equal serials and for those 2^31 apart. */
export function isSerialAfter(a: number, b: number): boolean {
  const distance = (a - b) >>> 0
  return distance !== 0 && distance < 0x80000000
}

/** RFC 1982 §3.1. */
export function serialAfter(serial: number): number {
  return (serial + 1) >>> 0
}

/** The serial of a version that differs from the last one served. `nowUnix` is for the policies that tell the time. */
export function nextSerial(
  policy: SerialPolicy,
  source: number,
  lastServed: number | undefined,
  nowUnix: number,
): number {
  if (policy === 'keep') return source
  const wished = wishedSerial(policy, source, nowUnix)
  return lastServed === undefined || isSerialAfter(wished, lastServed) ? wished : serialAfter(lastServed)
}

function wishedSerial(
  policy: 'increment' | 'unixtime' | 'dateserial',
  source: number,
  nowUnix: number,
): number {
  switch (policy) {
    case 'increment':
      return source
    case 'unixtime':
      return Math.floor(nowUnix) >>> 0
    case 'dateserial': {
      // YYYYMMDDnn, RFC 1912 §2.2; UTC.
      const day = new Date(nowUnix * 1000)
      return ((day.getUTCFullYear() * 100 + day.getUTCMonth() + 1) * 100 + day.getUTCDate()) * 100 + 0
    }
  }
}
