/** Queries and responses as values, for tests: written and read by code that shares nothing with server/.
 *  I1  Reading is strict: a pointer points back, sections hold what the counts say, and nothing follows. */

import { nameFromText, nameToText, rdataToText, TYPE, typeFromText, typeToText } from '../../zones/index.ts'

export interface QueryOptions {
  readonly id?: number
  readonly opcode?: number
  readonly class?: number
  /** Absent: no OPT record. */
  readonly udpOctets?: number
  readonly dnssecOk?: boolean
  readonly version?: number
  readonly options?: Uint8Array
}

/** The octets of a query; `type` is a mnemonic or number. */
export function queryOf(name: string, type: string | number, options: QueryOptions = {}): Uint8Array {
  const { id = 0x1234, opcode = 0, udpOctets, dnssecOk = false, version = 0 } = options
  const number = typeof type === 'number' ? type : typeFromText(type)!
  const wire = nameFromText(name)
  const header = [
    id >> 8,
    id & 255,
    (opcode << 3) | 1,
    0,
    0,
    1,
    0,
    0,
    0,
    0,
    0,
    udpOctets === undefined ? 0 : 1,
  ]
  const question = [...wire, number >> 8, number & 255, 0, options.class ?? 1]
  if (udpOctets === undefined) return Uint8Array.from([...header, ...question])
  const rdata = options.options ?? new Uint8Array(0)
  const opt = [0, 0, 41, udpOctets >> 8, udpOctets & 255, 0, version, dnssecOk ? 0x80 : 0, 0]
  return Uint8Array.from([...header, ...question, ...opt, rdata.length >> 8, rdata.length & 255, ...rdata])
}

export interface Message {
  readonly id: number
  readonly rcode: number
  readonly opcode: number
  readonly authoritative: boolean
  readonly truncated: boolean
  readonly flags: number
  /** `name class type` */
  readonly question: string | undefined
  /** `owner ttl type rdata`, in the order they came. */
  readonly answer: string[]
  readonly authority: string[]
  /** Without OPT. */
  readonly additional: string[]
  readonly opt: { udpOctets: number; version: number; dnssecOk: boolean; rdata: Uint8Array } | undefined
  /** INFO-CODE of each Extended DNS Error. */
  readonly ede: number[]
}

export function readMessage(octets: Uint8Array): Message {
  const reader = new MessageReader(octets)
  const header = octets.subarray(0, 12)
  const count = (at: number): number => (header[at]! << 8) | header[at + 1]!
  reader.at = 12
  const question = count(4) === 0 ? undefined : reader.question()
  const opts: Message['opt'][] = []
  const section = (at: number): string[] => {
    const lines: string[] = []
    for (let left = count(at); left > 0; left--) {
      const line = reader.record(opts)
      if (line !== undefined) lines.push(line)
    }
    return lines
  }
  const answer = section(6)
  const authority = section(8)
  if (opts.length > 0) throw new Error('OPT outside of the additional section')
  const additional = section(10)
  if (reader.at !== octets.length)
    throw new Error(`${octets.length - reader.at} octets behind the last record`)
  if (opts.length > 1) throw new Error('two OPT records')
  const opt = opts[0]
  return {
    id: count(0),
    opcode: (header[2]! >> 3) & 15,
    rcode: (header[3]! & 15) | ((reader.extendedRcode ?? 0) << 4),
    authoritative: (header[2]! & 4) !== 0,
    truncated: (header[2]! & 2) !== 0,
    flags: count(2),
    question,
    answer,
    authority,
    additional,
    opt,
    ede: opt === undefined ? [] : edesOf(opt.rdata),
  }
}

function edesOf(rdata: Uint8Array): number[] {
  const codes: number[] = []
  for (let at = 0; at < rdata.length; at += 4 + ((rdata[at + 2]! << 8) | rdata[at + 3]!)) {
    if (((rdata[at]! << 8) | rdata[at + 1]!) === 15) codes.push((rdata[at + 4]! << 8) | rdata[at + 5]!)
  }
  return codes
}

/** Types whose RDATA may hold compressed names (RFC 3597 §4), and where these are: octets before, names. */
const NAMES: Readonly<Record<number, readonly [number, number]>> = {
  [TYPE.NS]: [0, 1],
  [TYPE.CNAME]: [0, 1],
  [TYPE.SOA]: [0, 2],
  [TYPE.PTR]: [0, 1],
  [TYPE.MX]: [2, 1],
  [TYPE.MINFO]: [0, 2],
  [TYPE.MB]: [0, 1],
  [TYPE.MG]: [0, 1],
  [TYPE.MR]: [0, 1],
}

class MessageReader {
  at = 0
  extendedRcode: number | undefined
  readonly #octets: Uint8Array

  constructor(octets: Uint8Array) {
    this.#octets = octets
  }

  question(): string {
    const name = nameToText(this.#name())
    const type = this.#u16()
    return `${name} ${this.#u16()} ${typeToText(type)}`
  }

  /** A record as text; an OPT goes into `opts` instead. */
  record(opts: Message['opt'][]): string | undefined {
    const owner = this.#name()
    const type = this.#u16()
    const klass = this.#u16()
    const ttl = this.#u16() * 65536 + this.#u16()
    const length = this.#u16()
    const end = this.at + length
    if (end > this.#octets.length) throw new Error('RDATA beyond the end')
    if (type === 41) {
      this.extendedRcode = ttl >>> 24
      opts.push({
        udpOctets: klass,
        version: (ttl >>> 16) & 255,
        dnssecOk: (ttl & 0x8000) !== 0,
        rdata: this.#octets.subarray(this.at, end),
      })
      this.at = end
      return undefined
    }
    if (klass !== 1) throw new Error(`class ${klass}`)
    const rdata = this.#rdata(type, end)
    return `${nameToText(owner)} ${ttl} ${typeToText(type)} ${rdataToText(type, rdata)}`
  }

  #rdata(type: number, end: number): Uint8Array {
    const out: number[] = []
    const names = NAMES[type]
    if (names !== undefined) {
      while (out.length < names[0]) out.push(this.#octets[this.at++]!)
      for (let left = names[1]; left > 0; left--) out.push(...this.#name())
    }
    if (this.at > end) throw new Error('a name beyond its RDATA')
    out.push(...this.#octets.subarray(this.at, end))
    this.at = end
    return Uint8Array.from(out)
  }

  #u16(): number {
    if (this.at + 2 > this.#octets.length) throw new Error('beyond the end')
    this.at += 2
    return (this.#octets[this.at - 2]! << 8) | this.#octets[this.at - 1]!
  }

  #name(): Uint8Array {
    const out: number[] = []
    let at = this.at
    let limit = this.at
    let jumped = false
    for (;;) {
      const length = this.#octets[at]
      if (length === undefined) throw new Error('a name beyond the end')
      if (length >= 0xc0) {
        const to = ((length & 63) << 8) | this.#octets[at + 1]!
        if (!jumped) this.at = at + 2
        jumped = true
        if (to >= limit) throw new Error('a pointer that does not point back')
        limit = to
        at = to
        continue
      }
      if (length > 63) throw new Error(`label type ${length}`)
      out.push(...this.#octets.subarray(at, at + 1 + length))
      at += 1 + length
      if (length === 0) break
    }
    if (out.length > 255) throw new Error('a name of more than 255 octets')
    if (!jumped) this.at = at
    return Uint8Array.from(out)
  }
}
