/** What liars say: bodies of messages that are changed, said again, or made for another purpose, and signed by who has the key
 *  to do that. */

import { randomBytes } from 'node:crypto'
import { decode, encode } from 'cborg'
import { FROST_SUITES } from '../../../hsm/edwards.ts'
import { type KeygenRound1, pledgeOf } from '../../../hsm/frost-keygen.ts'
import { type Identity, sealTo, signAs } from '../../../hsm/identity.ts'
import type { NodeAnswer, NodeRequest, SealedPart } from '../../../hsm/messages.ts'
import { keygenName, LABEL_PLEDGE, LABEL_ROUND1, saidInRound1 } from '../../../hsm/node-keygen.ts'
import { dealingBound, LABEL_DEALING } from '../../../hsm/node-reshare.ts'
import { LABEL_ECHO, partContext } from '../../../hsm/node-trust.ts'
import { type ProofPlace, SecretPolynomial } from '../../../hsm/secret-polynomial.ts'
import type { Chance } from './chance.ts'

/** What a lying node does to its answers. */
export type Lie = (typeof LIES)[number]
export const LIES = ['field', 'share', 'refuse', 'pending', 'spent', 'silent', 'garbage', 'session'] as const

/** What a liar knows of the session it lies in. */
export interface LiarKnows {
  readonly identity: Identity
  readonly request: NodeRequest | undefined
  /** How the session began; undefined outside of one. */
  readonly begun: SessionBegin | undefined
  readonly member: (name: string) => Identity
  /** What it has pledged to show, by session. */
  readonly pledged: Map<string, KeygenRound1>
}

export type SessionBegin = Extract<NodeRequest, { kind: 'keygen' | 'reshare' }>
export type KeygenBegin = Extract<NodeRequest, { kind: 'keygen' }>

/** Something else instead: what was said before to anybody, with another thing in it, or for other messages. */
export function coordinatorLie(chance: Chance, body: unknown, told: readonly unknown[]): unknown {
  const said = chance.happens(0.6) ? chance.of(told) : body
  const way = chance.below(3)
  if (way === 0) return said
  if (way === 1) return changed(chance, said)
  const requests = told.filter(isSigning)
  if (!isSigning(said) || requests.length === 0) return changed(chance, said)
  const { messages } = chance.of(requests)
  return { ...said, messages: said.messages.map((_, at) => messages[at] ?? messages[0]) }
}

function isSigning(body: unknown): body is Extract<NodeRequest, { kind: 'sign' }> {
  return (body as Partial<NodeRequest> | undefined)?.kind === 'sign'
}

export function lieOf(lie: Lie, chance: Chance, body: NodeAnswer, knows: LiarKnows): unknown {
  if (lie === 'field') return changed(chance, body)
  if (lie === 'session') {
    if (knows.begun === undefined) return body
    return pledgedRound1(knows) ?? sessionLie(chance, body, knows, knows.begun)
  }
  if (body.kind !== 'shares') return body
  const results = body.results.map(result => {
    if (lie === 'refuse') return { kind: 'refused', code: 'POLICY_TTL', what: 'no' }
    if (lie === 'pending') return { kind: 'pending', needs: 'patience' }
    if (lie === 'spent') return { kind: 'refused', code: 'NONCE_SPENT', what: 'gone' }
    return result.kind === 'share' ? { kind: 'share', share: wrongShare(chance, result.share) } : result
  })
  return { ...body, results }
}

/** Signed and sealed as it should be, and false. */
function sessionLie(
  chance: Chance,
  body: NodeAnswer,
  knows: LiarKnows,
  begun: SessionBegin,
): NodeAnswer | undefined {
  const { identity } = knows
  const { session } = begun
  switch (body.kind) {
    case 'pledge': {
      if (begun.kind !== 'keygen') return body
      // Also in the name of another, or of nothing.
      const index = chance.happens(0.2) ? 1 + chance.below(begun.members.length) : body.pledge.index
      const round1 = falseRound1(chance, ownRound1(begun, index))
      knows.pledged.set(hexOf(session), round1)
      const pledge = chance.happens(0.2)
        ? body.pledge.pledge
        : pledgeOf('ed25519', placeOf(begun, index), round1)
      const signature = signAs(identity, LABEL_PLEDGE, session, index, pledge)
      return { kind: 'pledge', pledge: { index, pledge, signature } }
    }
    case 'round1': {
      // What it has not pledged, now that it may have seen the others'.
      const { index } = body.round1
      const rather = chance.happens(0.5) || begun.kind !== 'keygen' ? body.round1 : ownRound1(begun, index)
      return signedRound1(identity, session, falseRound1(chance, rather))
    }
    case 'parts':
      return { kind: 'parts', parts: falseParts(chance, body.parts, 'keygen', knows, begun) }
    case 'dealt': {
      const parts = falseParts(chance, body.parts, 'reshare', knows, begun)
      if (chance.happens(0.5) || begun.kind !== 'reshare') return { ...body, parts }
      // Also in the name of another.
      const from = chance.happens(0.3) ? chance.of(begun.set) : body.dealing.from
      const { commitments, proofs } = body.dealing
      const dealing =
        chance.happens(0.5) && proofs.length > 0
          ? { from, commitments, proofs: otherList(chance, proofs) }
          : { from, commitments: otherList(chance, commitments), proofs }
      const signature = signAs(identity, LABEL_DEALING, ...dealingBound(begun, dealing))
      return { ...body, dealing: { ...dealing, signature } }
    }
    case 'echo': {
      const { index } = body.echo
      const echo = wrongShare(chance, body.echo.echo)
      return {
        kind: 'echo',
        echo: { index, echo, signature: signAs(identity, LABEL_ECHO, session, index, echo) },
      }
    }
    case 'active':
      return chance.happens(0.5) ? { kind: 'done' } : { ...body, epoch: body.epoch + 1 }
    default:
      return body
  }
}

/** What it has pledged, which its node knows nothing of. */
export function pledgedRound1({ identity, request, pledged }: LiarKnows): NodeAnswer | undefined {
  if (request?.kind !== 'keygen-reveal') return undefined
  const round1 = pledged.get(hexOf(request.session))
  return round1 && signedRound1(identity, request.session, round1)
}

/** As it should be, of a polynomial of its own. */
export function ownRound1(
  begun: KeygenBegin,
  index: number,
  polynomial: SecretPolynomial = ownPolynomial(begun),
): KeygenRound1 {
  const salt = new Uint8Array(randomBytes(32))
  const { commitments } = polynomial
  return { index, salt, commitments, proofs: polynomial.proofs(placeOf(begun, index)) }
}

export function ownPolynomial({ threshold }: KeygenBegin): SecretPolynomial {
  return SecretPolynomial.random(FROST_SUITES.ed25519, threshold)
}

export function placeOf(begun: KeygenBegin, index: number): ProofPlace {
  const { threshold, members } = begun
  return { purpose: 'keygen', session: keygenName(begun), size: { threshold, nodes: members.length }, index }
}

export function signedRound1(
  identity: Identity,
  session: Uint8Array,
  { index, salt, commitments, proofs }: KeygenRound1,
): Extract<NodeAnswer, { kind: 'round1' }> {
  const round1 = { index, salt, commitments, proofs }
  const signature = signAs(identity, LABEL_ROUND1, session, index, ...saidInRound1(round1))
  return { kind: 'round1', round1: { ...round1, signature } }
}

/** With one thing in it that is wrong, or nothing. */
function falseRound1(chance: Chance, round1: KeygenRound1): KeygenRound1 {
  const way = chance.below(4)
  if (way === 0) return { ...round1, commitments: otherList(chance, round1.commitments) }
  if (way === 1) return { ...round1, proofs: otherList(chance, round1.proofs) }
  if (way === 2) return { ...round1, salt: wrongShare(chance, round1.salt) }
  return round1
}

function hexOf(octets: Uint8Array): string {
  return Buffer.from(octets).toString('hex')
}

function otherList(chance: Chance, list: readonly Uint8Array[]): Uint8Array[] {
  const way = chance.below(3)
  if (way === 0) return [...list].reverse()
  if (way === 1) return list.slice(1)
  return list.map((one, at) => (at === list.length - 1 ? wrongShare(chance, one) : one))
}

/** One of them is of another value, sealed to its receiver all the same. */
function falseParts(
  chance: Chance,
  parts: readonly SealedPart[],
  what: 'keygen' | 'reshare',
  { identity, member }: LiarKnows,
  { session, members }: SessionBegin,
): SealedPart[] {
  const spoilt = chance.below(parts.length)
  return parts.map((part, at) => {
    if (at !== spoilt) return part
    const { from, to } = part
    const receiver = member(members[to - 1]!).publicIdentity
    const value = new Uint8Array(randomBytes(32))
    value[31]! &= 0x0f
    return { from, to, sealed: sealTo(identity, receiver, partContext(what, session, from, to), value) }
  })
}

/** One that could be right. */
function wrongShare(chance: Chance, share: Uint8Array): Uint8Array {
  const other = share.slice()
  other[chance.below(Math.min(16, other.length))]! ^= 1 << chance.below(8)
  return other
}

export function garbled(chance: Chance, octets: Uint8Array): Uint8Array {
  const other = octets.slice(0, chance.happens(0.2) ? chance.below(octets.length) : octets.length)
  if (other.length > 0) other[chance.below(other.length)]! ^= 1 << chance.below(8)
  return other
}

/** The body of an envelope; undefined for octets that are none. */
export function bodyOf(octets: Uint8Array): unknown {
  try {
    const [payload] = decode(octets) as [Uint8Array]
    return (decode(payload) as unknown[])[7]
  } catch {
    return undefined
  }
}

/** The same envelope with another body, signed by who has the key to do that. */
export function retold(octets: Uint8Array, sender: Identity, tell: (body: unknown) => unknown): Uint8Array {
  const [payload] = decode(octets) as [Uint8Array]
  const fields = decode(payload) as unknown[]
  const other = encode([...fields.slice(0, 7), tell(fields[7])])
  return encode([other, signAs(sender, 'envelope', other)])
}

/** A copy with one thing changed, wherever it is. */
export function changed(chance: Chance, value: unknown): unknown {
  const octets: Uint8Array[] = []
  const count = countParts(value, octets)
  let at = chance.below(count)
  const walk = (part: unknown): unknown => {
    if (at-- === 0) return otherPart(chance, part, octets)
    if (Array.isArray(part)) return part.map(walk)
    if (part instanceof Uint8Array || typeof part !== 'object' || part === null) return part
    return Object.fromEntries(Object.entries(part).map(([name, one]) => [name, walk(one)]))
  }
  return walk(value)
}

function countParts(value: unknown, octets: Uint8Array[]): number {
  if (value instanceof Uint8Array) {
    octets.push(value)
    return 1
  }
  if (typeof value !== 'object' || value === null) return 1
  return Object.values(value).reduce<number>((sum, one) => sum + countParts(one, octets), 1)
}

function otherPart(chance: Chance, part: unknown, octets: readonly Uint8Array[]): unknown {
  if (part instanceof Uint8Array) {
    const way = chance.below(5)
    if (way === 0) return chance.of(octets)
    if (way === 1) return new Uint8Array(part.length)
    if (way === 2) return part.slice(0, -1)
    return part.length === 0 ? Uint8Array.of(1) : wrongShare(chance, part)
  }
  if (typeof part === 'number') return chance.of([part + 1, part - 1, 0, 2 ** 40])
  if (typeof part === 'string') return chance.of(['', 'n1', 'n2', 'sign', 'state', 'shares', 'x'.repeat(300)])
  if (Array.isArray(part)) {
    const at = chance.below(part.length)
    return chance.of([[], part.slice(1), [...part, part[at]], [...part].reverse()])
  }
  if (typeof part !== 'object' || part === null) return 0
  const names = Object.keys(part)
  const without = chance.of(names)
  return chance.happens(0.5)
    ? Object.fromEntries(Object.entries(part).filter(([name]) => name !== without))
    : { ...part, more: 1 }
}
