/** The values of a configuration that are DNS's or the server's: what is taken, in words for people, and the same for editors.
 *  Those of no trade in particular, and the invariants of both, are in base/fields.ts. */
import type { z } from 'zod'
import {
  DURATION_PATTERN,
  DURATION_WORDS,
  durationSeconds,
  field,
  judged,
  listed,
  Mistake,
} from '../base/documents.ts'
import { ConclaveError, nearest } from '../base/index.ts'
import { algorithmFromText } from '../signer/index.ts'
import { canonicalName, nameFromText, nameToText } from '../zones/index.ts'
import { parseListenAddress, prefixMatcher } from './address.ts'

/** `observe`, `operator` or a duration: how it is known that the parent has a new DS. */
export function dsConfirmation(): z.ZodType<'observe' | 'operator' | { afterSeconds: number }> {
  const kinds = [
    { enum: ['observe', 'operator'] },
    { type: 'integer', minimum: 0 },
    { type: 'string', pattern: DURATION_PATTERN },
  ]
  return field({ anyOf: kinds }, value => {
    if (value === 'observe' || value === 'operator') return value
    const afterSeconds = durationSeconds(value)
    return afterSeconds === undefined
      ? new Mistake(`observe, operator, or ${DURATION_WORDS}`)
      : { afterSeconds }
  })
}

/** A domain name with or without its last dot, in canonical form with it. */
export function domainName(): z.ZodType<string> {
  const read = (value: string): string => {
    return nameToText(canonicalName(nameFromText(value.endsWith('.') ? value : `${value}.`)))
  }
  return judged({ minLength: 1 }, 'a domain name such as example.com', read)
}

/** `ADDRESS@PORT`, as it was written. */
export function listenAddress(): z.ZodType<string> {
  return judged({}, 'an address to listen on, such as 127.0.0.1@5300 or ::1@53', value => {
    parseListenAddress(value)
    return value
  })
}

/** A server to ask. */
export function serverAddress(): z.ZodType<string> {
  return judged({}, 'the address of a server, such as 192.0.2.53 or 2001:db8::53@5353', value => {
    parseListenAddress(value)
    return value
  })
}

export function prefix(): z.ZodType<string> {
  const expected = 'an address, a prefix such as 192.0.2.0/24 or 2001:db8::/32, loopback or any'
  return judged({}, expected, value => {
    prefixMatcher([value])
    return value
  })
}

/** The number of a DNSSEC algorithm. */
export function algorithm(): z.ZodType<number> {
  const words = ['ecdsap256sha256', 'ecdsap384sha384', 'ed25519', 'ed448', 'rsasha256', 'rsasha512']
  return field({ enum: words }, value => {
    try {
      // A number in a file says nothing to its reader.
      if (typeof value === 'string' && !/^\d+$/.test(value)) return algorithmFromText(value).number
    } catch (error) {
      if (!(error instanceof ConclaveError)) throw error
    }
    const meant = typeof value === 'string' ? nearest(value, words) : undefined
    return new Mistake(`${listed(words)}${meant === undefined ? '' : ` (did you mean ${meant}?)`}`)
  })
}

/** RFC 5155 §3.1.4: at most 255 octets. */
export function nsec3Salt(): z.ZodType<Uint8Array> {
  return octets('^(-|([0-9a-fA-F]{2}){0,255})$', ', or - for none')
}

/** CKA_ID of a token's object. */
export function objectId(): z.ZodType<Uint8Array> {
  return octets('^([0-9a-fA-F]{2}){1,255}$', '')
}

function octets(pattern: string, also: string): z.ZodType<Uint8Array> {
  return field({ type: 'string', pattern }, value => {
    if (typeof value !== 'string' || !new RegExp(pattern).test(value)) {
      return new Mistake(`pairs of hexadecimal digits in quotes${also}`)
    }
    return new Uint8Array(Buffer.from(value === '-' ? '' : value, 'hex'))
  })
}
