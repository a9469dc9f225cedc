/** Dealing RSA keys (Shoup, EUROCRYPT 2000, §2.1), and sharing one that exists. Who deals knows the whole key while it
 *  runs: a process of its own does it, and ends.
 *
 *  I1  N has exactly the bits asked for; p = 2p′ + 1, q = 2q′ + 1 with p′, q′ prime; e is a prime above every index.
 *  I2  Dealt shares are of a polynomial over Z_m, m = p′q′, with uniform coefficients: k − 1 of them say nothing of d.
 *  I3  An imported key's primes are not safe, and its m is not known to be prime to n!: it is shared over the
 *      integers, with Δd at 0 (a share modulo a small prime would show d modulo it) and coefficients that hide it but for
 *      2^-128. Proofs of correct shares are then only heuristic, since squares need not be a group of large prime factors. */

import { createPrivateKey, generatePrime, type KeyObject } from 'node:crypto'
import {
  bezout,
  bitLength,
  evaluate,
  factorial,
  integerOf,
  inverseModulo,
  randomBelow,
  randomBits,
} from './integers.ts'
import { Modulus } from './modulus.ts'
import { checkQuorumSize, type QuorumSize } from './quorum-size.ts'
import type { RsaQuorumKey, RsaShare } from './rsa.ts'

export interface DealtRsaKey {
  readonly key: RsaQuorumKey
  /** Node i's at [i − 1]. */
  readonly shares: readonly RsaShare[]
}

const PUBLIC_EXPONENT = 65_537n
const MODULUS_BITS_MIN = 2048
const MODULUS_BITS_MAX = 4096
/** What an integer sharing may show of the key: 2^-128. */
export const HIDING_BITS = 128

/** Makes a key and deals it. Two safe primes of 1024 bits take some seconds, of 2048 a minute or more, seldom many times
 *  that; `onPrime` hears of each.
 *  @throws RangeError for sizes that cannot be */
export async function dealRsa(
  bits: number,
  size: QuorumSize,
  onPrime: (found: number) => void = () => {},
): Promise<DealtRsaKey> {
  checkQuorumSize(size)
  if (!Number.isInteger(bits) || bits % 2 !== 0 || bits < MODULUS_BITS_MIN || bits > MODULUS_BITS_MAX) {
    throw new RangeError(`${bits} bits: an even number from ${MODULUS_BITS_MIN} to ${MODULUS_BITS_MAX}`)
  }
  const { p, q } = await findPrimes(bits, onPrime)
  return shareSafePrimes(p, q, size)
}

/** I1. Each new prime is tried with all before it, so that a product too short costs one prime, not two. */
async function findPrimes(bits: number, onPrime: (found: number) => void): Promise<{ p: bigint; q: bigint }> {
  const found: bigint[] = []
  let count = 0
  const draw = async (): Promise<bigint> => {
    const prime = await safePrime(bits / 2)
    onPrime(++count)
    return prime
  }
  for (;;) {
    const drawn = await Promise.all(found.length === 0 ? [draw(), draw()] : [draw()])
    for (const q of drawn) {
      const p = found.find(one => one !== q && bitLength(one * q) === bits)
      if (p !== undefined) return { p, q }
      found.push(q)
    }
  }
}

function safePrime(bits: number): Promise<bigint> {
  return new Promise((resolve, reject) => {
    generatePrime(bits, { safe: true, bigint: true }, (error, prime) => {
      // The types say null; Node.js 20 says undefined.
      if (error) reject(error)
      else resolve(prime)
    })
  })
}

/** I2. */
export function shareSafePrimes(p: bigint, q: bigint, size: QuorumSize): DealtRsaKey {
  const m = ((p - 1n) / 2n) * ((q - 1n) / 2n)
  const d = inverseModulo(PUBLIC_EXPONENT, m)
  const coefficients = [d, ...Array.from({ length: size.threshold - 1 }, () => randomBelow(m))]
  const shares = indices(size).map(index => evaluate(coefficients, BigInt(index)) % m)
  const modulus = p * q
  return finish({ modulus, publicExponent: PUBLIC_EXPONENT, multiplier: 1n }, size, shares)
}

/** Shares a key that exists (I3).
 *  @throws RangeError when it is no RSA key, or its public exponent cannot be used with so many nodes */
export function shareExisting(privateKey: KeyObject | string, size: QuorumSize): DealtRsaKey {
  checkQuorumSize(size)
  const key = typeof privateKey === 'string' ? createPrivateKey(privateKey) : privateKey
  const { n, e, d } = key.export({ format: 'jwk' }) as { n?: string; e?: string; d?: string }
  if (n === undefined || e === undefined || d === undefined) throw new RangeError('not a private RSA key')
  const [modulus, publicExponent, exponent] = [n, e, d].map(text => integerOf(Buffer.from(text, 'base64url')))
  const delta = factorial(size.nodes)
  if (bezout(publicExponent!, 2n * delta).gcd !== 1n) {
    throw new RangeError(`the public exponent ${publicExponent} has a factor in common with ${size.nodes}!`)
  }
  const secret = delta * exponent!
  const hidingBits = bitLength(modulus!) + 3 * bitLength(delta) + HIDING_BITS
  const coefficients = [secret, ...Array.from({ length: size.threshold - 1 }, () => randomBits(hidingBits))]
  const shares = indices(size).map(index => evaluate(coefficients, BigInt(index)))
  return finish({ modulus: modulus!, publicExponent: publicExponent!, multiplier: delta }, size, shares)
}

function indices({ nodes }: QuorumSize): number[] {
  return Array.from({ length: nodes }, (_, at) => at + 1)
}

function finish(
  key: Pick<RsaQuorumKey, 'modulus' | 'publicExponent' | 'multiplier'>,
  size: QuorumSize,
  values: readonly bigint[],
): DealtRsaKey {
  const modulus = new Modulus(key.modulus)
  const root = randomBelow(key.modulus)
  const base = modulus.multiply(root, root)
  return {
    key: {
      ...key,
      threshold: size.threshold,
      nodes: size.nodes,
      shareBits: Math.max(...values.map(bitLength)),
      base,
      verifiers: values.map(value => modulus.power(base, value)),
    },
    shares: values.map((value, at) => ({ index: at + 1, value })),
  }
}
