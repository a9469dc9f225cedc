/** Addresses to listen on and prefixes to allow: `ADDRESS@PORT`, `ADDRESS` (port 53), `[ADDRESS]:PORT`, `IPV4:PORT`.
 *  Not here: names of hosts; a nameserver's own addresses come from no resolver. */
import { isIPv4, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { ConclaveError } from '../base/index.ts'

export interface ListenAddress {
  /** IPv4 or IPv6 as text, an IPv6 scope after `%`. */
  readonly host: string
  readonly port: number
}

/** RFC 1035 §4.2: port 53 for both transports. */
const PORT_DEFAULT = 53

/** Reads one address; throws LISTEN_SYNTAX. */
export function parseListenAddress(text: string): ListenAddress {
  const match =
    /^(?<host>[^@\s]+)@(?<port>\d{1,5})$/.exec(text) ?? /^\[(?<host>[^\]]+)\](:(?<port>\d{1,5}))?$/.exec(text)
  const short = match ?? /^(?<host>[\d.]+):(?<port>\d{1,5})$/.exec(text)
  const host = short?.groups?.['host'] ?? text
  const port = Number(short?.groups?.['port'] ?? PORT_DEFAULT)
  if ((isIPv4(host) || isIPv6(host)) && port <= 0xffff) return { host, port }
  throw new ConclaveError('LISTEN_SYNTAX', `${JSON.stringify(text)} is not an address to listen on`, {
    remedy: 'Write ADDRESS@PORT with a numeric address, for example 127.0.0.1@5300 or ::1@5300.',
  })
}

/** As `parseListenAddress` reads it. */
export function listenAddressText(address: ListenAddress): string {
  return `${address.host}@${address.port}`
}

/** Whether the address stands for all of the machine's. */
export function isWildcard(host: string): boolean {
  return addressOctets(host).every(octet => octet === 0)
}

/** 4 or 16 octets of an address that `node:net` accepts; the scope is left out. */
export function addressOctets(host: string): Uint8Array {
  if (isIPv4(host)) return Uint8Array.from(host.split('.'), Number)
  const plain = host.replace(/%.*$/, '')
  // An IPv4 tail is two groups.
  const groups = plain.replace(/[\d.]+\.[\d.]+$/, tail => {
    const [a = 0, b = 0, c = 0, d = 0] = tail.split('.').map(Number)
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  })
  const [head = '', tail] = groups.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const out = new Uint8Array(16)
  const put = (words: string[], start: number): void => {
    for (const [index, word] of words.entries()) {
      const value = Number.parseInt(word, 16)
      out[start + index * 2] = value >>> 8
      out[start + index * 2 + 1] = value
    }
  }
  put(left, 0)
  put(right, 16 - right.length * 2)
  return out
}

/** `struct sockaddr_in` (16 octets) or `sockaddr_in6` (28) of 64-bit Linux. */
export function socketAddress(address: ListenAddress): Uint8Array {
  const octets = addressOctets(address.host)
  const out = new Uint8Array(octets.length === 4 ? 16 : 28)
  out[0] = octets.length === 4 ? 2 : 10
  out[2] = address.port >>> 8
  out[3] = address.port
  out.set(octets, octets.length === 4 ? 4 : 8)
  if (octets.length === 16) new DataView(out.buffer).setUint32(24, scopeOf(address.host), true)
  return out
}

/** RFC 4007 §11: a link-local address needs its zone. */
function scopeOf(host: string): number {
  const zone = /%(.+)$/.exec(host)?.[1]
  if (zone === undefined) return 0
  if (/^\d+$/.test(zone)) return Number(zone)
  for (const entry of networkInterfaces()[zone] ?? []) if (entry.family === 'IPv6') return entry.scopeid
  return 0
}

/** Says whether a peer's address lies in one of the prefixes (`192.0.2.0/24`, `2001:db8::/32`, single addresses,
 *  or `loopback`, `any`). An IPv4 address mapped into IPv6 counts as IPv4. Throws ADDRESS_SYNTAX. */
export function prefixMatcher(prefixes: readonly string[]): (host: string) => boolean {
  const rules = prefixes.flatMap(prefix => PREFIX_WORDS[prefix] ?? [prefix]).map(parsePrefix)
  return host => {
    const octets = unmapped(addressOctets(host))
    return rules.some(
      rule => rule.octets.length === octets.length && sameBits(rule.octets, octets, rule.bits),
    )
  }
}

const PREFIX_WORDS: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1'],
  any: ['0.0.0.0/0', '::/0'],
}

function parsePrefix(text: string): { octets: Uint8Array; bits: number } {
  const [host = '', bitsText, more] = text.split('/')
  const bitsMax = isIPv4(host) ? 32 : 128
  const bits = bitsText === undefined ? bitsMax : Number(bitsText)
  const whole =
    Number.isInteger(bits) && bits >= 0 && bits <= bitsMax && bitsText !== '' && more === undefined
  if (!whole || !(isIPv4(host) || isIPv6(host))) {
    throw new ConclaveError('ADDRESS_SYNTAX', `${JSON.stringify(text)} is not an address or prefix`, {
      remedy: 'Write 192.0.2.1, 192.0.2.0/24, 2001:db8::/32, loopback or any.',
    })
  }
  return { octets: addressOctets(host), bits }
}

/** RFC 4291 §2.5.5.2: ::ffff:0:0/96. */
function unmapped(octets: Uint8Array): Uint8Array {
  const mapped = octets.length === 16 && octets[10] === 0xff && octets[11] === 0xff
  return mapped && octets.subarray(0, 10).every(octet => octet === 0) ? octets.subarray(12) : octets
}

function sameBits(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  const whole = bits >>> 3
  for (let at = 0; at < whole; at++) if (a[at] !== b[at]) return false
  const rest = bits & 7
  return rest === 0 || ((a[whole] ?? 0) ^ (b[whole] ?? 0)) >>> (8 - rest) === 0
}
