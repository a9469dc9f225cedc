/** Words of the command line turned into what the rooms take. A wrong word is wrong usage (exit code 2). */
import { ConclaveError } from '../base/index.ts'
import { algorithmFromText, defaultSigningPolicy, type SigningPolicy } from '../signer/index.ts'
import { type Name, nameFromText, timeFromOctets, ttlFromOctets, typeFromText } from '../zones/index.ts'

/** Options of `serve` and `sign` that say how a zone is signed. */
export interface SigningWords {
  readonly algorithm?: string
  readonly denial: 'nsec' | 'nsec3' | 'opt-out'
  readonly nsec3Iterations: string
  readonly nsec3Salt: string
  readonly zonemd: 'sha384' | 'sha512' | 'none'
  readonly gate: 'full' | 'keys'
  readonly splitKeys?: true
  readonly replaceKeys?: true
  readonly foreignKeys: 'refuse' | 'include'
  /** quorum.yaml: keys are in the quorum. */
  readonly hsm?: string
  /** Only KSKs are; ZSKs are local. */
  readonly kskOnly?: true
}

/** RFC 5155 §3.1.3 gives 16 bits; what validators accept is far below (RFC 9276 §3.2). */
const ITERATIONS_MAX = 50
/** RFC 5155 §3.1.4: a length octet. */
const SALT_OCTETS_MAX = 255

export function usage(what: string, remedy: string): ConclaveError {
  return new ConclaveError('USAGE', what, { remedy })
}

/** Reads a word that a room below judges: what it refuses is wrong usage here. */
export function wordOf<T>(read: () => T, remedy = 'See --help.'): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof ConclaveError)) throw cause
    throw usage(cause.message, cause.remedy ?? remedy)
  }
}

/** What keys are made with where nothing is said: the quickest to verify, or what nodes make among themselves. */
const ALGORITHM_DEFAULT = 'ecdsap256sha256'
const ALGORITHM_QUORUM = 'ed25519'

export function signingPolicy(words: SigningWords): SigningPolicy {
  if (words.kskOnly && words.hsm === undefined)
    throw usage('--ksk-only without --hsm', 'Give --hsm FILE, too.')
  const iterations = Number(words.nsec3Iterations)
  if (!Number.isInteger(iterations) || iterations < 0 || iterations > ITERATIONS_MAX) {
    throw usage(
      `--nsec3-iterations ${words.nsec3Iterations}`,
      `Give a number from 0 to ${ITERATIONS_MAX}; 0 is best.`,
    )
  }
  const salt = words.nsec3Salt === '-' ? '' : words.nsec3Salt
  if (!/^([0-9a-fA-F]{2})*$/.test(salt) || salt.length > 2 * SALT_OCTETS_MAX) {
    throw usage(`--nsec3-salt ${words.nsec3Salt}`, 'Give pairs of hexadecimal digits, or - for none.')
  }
  return {
    ...defaultSigningPolicy,
    algorithm: algorithmNumber(
      words.algorithm ?? (words.hsm === undefined ? ALGORITHM_DEFAULT : ALGORITHM_QUORUM),
    ),
    denial: words.denial,
    nsec3: { iterations, salt: new Uint8Array(Buffer.from(salt, 'hex')) },
    zonemd: words.zonemd,
    gate: words.gate,
    splitKeys: words.splitKeys ?? words.kskOnly ?? false,
    replaceKeys: words.replaceKeys ?? false,
    foreignKeys: words.foreignKeys,
  }
}

export function algorithmNumber(text: string): number {
  return wordOf(() => algorithmFromText(text).number)
}

/** A name given on the command line is absolute, with or without its last dot. */
export function zoneName(text: string): Name {
  return wordOf(
    () => nameFromText(text.endsWith('.') ? text : `${text}.`),
    'Give a name such as example.com.',
  )
}

/** YYYYMMDDHHmmSS, Unix seconds, or +DURATION after `now`. */
export function timeUnix(text: string, now: number): number {
  if (text.startsWith('+')) return Math.floor(now) + durationSeconds(text.slice(1))
  const octets = Buffer.from(text)
  const value = timeFromOctets(octets, 0, octets.length)
  if (value < 0) throw usage(`${text} is no time`, 'Give YYYYMMDDHHmmSS, seconds since 1970, or +DURATION.')
  return value
}

/** `7d`, `1h30m`, or seconds. */
export function durationSeconds(text: string): number {
  const octets = Buffer.from(text)
  const value = ttlFromOctets(octets, 0, octets.length)
  if (value < 0) throw usage(`${text} is no duration`, 'Give seconds, or a span such as 7d or 1h30m.')
  return value
}

/** Types joined by commas. */
export function typeSet(text: string | undefined): Set<number> {
  const types = new Set<number>()
  for (const word of text?.split(',') ?? []) {
    const type = typeFromText(word.trim())
    if (type === undefined)
      throw usage(`${JSON.stringify(word)} is no type of records`, 'Give mnemonics such as SVCB.')
    types.add(type)
  }
  return types
}
