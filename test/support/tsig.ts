/** TSIG as a client has it (RFC 8945), for tests: written from the RFC, and sharing nothing with server/. */
import { createHmac } from 'node:crypto'
import { nameFromText } from '../../zones/index.ts'

export interface ClientKey {
  readonly name: string
  readonly algorithm: string
  /** As node:crypto names it. */
  readonly hash: string
  readonly secret: Uint8Array
}

export const TEST_SECRET: Uint8Array = Uint8Array.from({ length: 32 }, (_, index) => index)
export const TEST_SECRET_TEXT: string = Buffer.from(TEST_SECRET).toString('base64')
export const TEST_KEY: ClientKey = {
  name: 'transfer.example.',
  algorithm: 'hmac-sha256.',
  hash: 'sha256',
  secret: TEST_SECRET,
}

export interface SignOptions {
  readonly time: number
  readonly fudge?: number
  readonly macOctets?: number
  readonly originalId?: number
  /** The record's class and TTL, which RFC 8945 §4.2 fixes. */
  readonly class?: number
  readonly ttl?: number
}

const u16 = (value: number): number[] => [(value >> 8) & 255, value & 255]
const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value)]
const u48 = (value: number): number[] => [...u16(Math.floor(value / 2 ** 32)), ...u32(value >>> 0)]
const lower = (name: string): Uint8Array => nameFromText(name.toLowerCase())

/** The query with a TSIG record behind it, and its MAC. */
export function signedQuery(
  query: Uint8Array,
  key: ClientKey,
  options: SignOptions,
): { readonly octets: Uint8Array; readonly mac: Uint8Array } {
  const { time, fudge = 300, macOctets, originalId = (query[0]! << 8) | query[1]! } = options
  const klass = options.class ?? 255
  const ttl = options.ttl ?? 0
  const original = Uint8Array.from(query)
  original.set(u16(originalId))
  const hmac = createHmac(key.hash, key.secret)
  hmac.update(original)
  hmac.update(
    Uint8Array.from([
      ...lower(key.name),
      ...u16(klass),
      ...u32(ttl),
      ...lower(key.algorithm),
      ...u48(time),
      ...u16(fudge),
      0,
      0,
      0,
      0,
    ]),
  )
  const mac = Uint8Array.from(hmac.digest()).subarray(0, macOctets)
  const rdata = [...nameFromText(key.algorithm), ...u48(time), ...u16(fudge), ...u16(mac.length), ...mac]
  rdata.push(...u16(originalId), 0, 0, 0, 0)
  const record = [
    ...nameFromText(key.name),
    0,
    250,
    ...u16(klass),
    ...u32(ttl),
    ...u16(rdata.length),
    ...rdata,
  ]
  const octets = Uint8Array.from([...query, ...record])
  octets[11]! += 1
  return { octets, mac }
}

export interface SignedResponse {
  /** Without the TSIG record. */
  readonly message: Uint8Array
  readonly mac: Uint8Array
  readonly time: number
  readonly fudge: number
  readonly originalId: number
  readonly error: number
  readonly other: Uint8Array
  /** The whole TSIG record's octets. */
  readonly octets: number
  /** Whether the MAC is that of the key, behind `priorMac`. */
  readonly valid: boolean
}

/** Takes the TSIG record, the last of the message, off a response. @throws Error when it is not well-formed. */
export function signedResponse(
  octets: Uint8Array,
  key: ClientKey,
  priorMac: Uint8Array,
  first = true,
): SignedResponse {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length)
  const start = lastRecord(octets)
  const owner = nameFromText(key.name)
  const found = Buffer.from(octets.subarray(start, start + owner.length)).toString('hex')
  if (found !== Buffer.from(owner).toString('hex')) throw new Error('the TSIG record has another owner')
  let at = start + owner.length
  const fixed = Buffer.from(octets.subarray(at, at + 8)).toString('hex')
  if (fixed !== '00fa00ff00000000') throw new Error(`no TSIG record: ${fixed}`)
  if (at + 10 + view.getUint16(at + 8) !== octets.length) throw new Error('RDLENGTH is wrong')
  const rdata = at + 10
  at = rdata + nameFromText(key.algorithm).length
  const time = view.getUint16(at) * 2 ** 32 + view.getUint32(at + 2)
  const fudge = view.getUint16(at + 6)
  const timers = octets.slice(at, at + 8)
  const macOctets = view.getUint16(at + 8)
  const mac = octets.slice(at + 10, at + 10 + macOctets)
  at += 10 + macOctets
  const tail = octets.slice(at, octets.length)
  const message = octets.slice(0, start)
  const count = ((message[10]! << 8) | message[11]!) - 1
  message.set(u16(count), 10)
  const original = Uint8Array.from(message)
  original.set(tail.subarray(0, 2))
  const hmac = createHmac(key.hash, key.secret)
  hmac.update(Uint8Array.from([...u16(priorMac.length), ...priorMac]))
  hmac.update(original)
  if (first) {
    hmac.update(Uint8Array.from([...lower(key.name), 0, 255, 0, 0, 0, 0, ...lower(key.algorithm)]))
    hmac.update(timers)
    hmac.update(tail.subarray(2))
  } else hmac.update(timers)
  const digest = hmac.digest().subarray(0, macOctets)
  return {
    message,
    mac,
    time,
    fudge,
    originalId: (tail[0]! << 8) | tail[1]!,
    error: (tail[2]! << 8) | tail[3]!,
    other: tail.subarray(6),
    octets: octets.length - start,
    valid: macOctets > 0 && digest.equals(mac),
  }
}

function lastRecord(octets: Uint8Array): number {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length)
  const nameEnd = (start: number): number => {
    let at = start
    while (octets[at] !== 0 && octets[at]! < 0xc0) at += 1 + octets[at]!
    return at + (octets[at] === 0 ? 1 : 2)
  }
  let at = 12
  if (view.getUint16(4) === 1) at = nameEnd(at) + 4
  let last = 0
  const records = view.getUint16(6) + view.getUint16(8) + view.getUint16(10)
  for (let left = records; left > 0; left--) {
    last = at
    at = nameEnd(at)
    at += 10 + view.getUint16(at + 8)
  }
  if (last === 0 || at !== octets.length) throw new Error('there is no last record')
  return last
}
