/** How a node answers `commit`, `sign` and `prove`: judge, log, then sign.
 *
 *  I1  Every message of a batch is read and judged by itself; the log has all that is allowed before a share leaves (audit.ts I1).
 *      Of what is not, it has so many lines a minute for each coordinator, then a number: none can fill it.
 *  I2  Nonces live in memory only, belong to one coordinator, key and epoch, and are gone when a request names them, whatever
 *      becomes of it. They end with the process: a boot is a new set.
 *  I3  A proof is made only for messages that this node signed lately: it says nothing about others. */

import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../base/index.ts'
import { nameFromText, nameToText, typeToText } from '../zones/index.ts'
import type { AuditEvent, AuditLog } from './audit.ts'
import type { FrostCommitment, FrostNonces } from './frost.ts'
import type { Inceptions } from './inceptions.ts'
import { octetsOf, signedOctets } from './integers.ts'
import type { NodeAnswer, NodeRequest, NumberedCommitment, SignResult } from './messages.ts'
import type { HeldShare, NodeKeys } from './node-keys.ts'
import { type Judgement, judge, type NodePolicy, ruleOf } from './node-policy.ts'
import { PerMinute } from './per-minute.ts'
import { pkcs1Block, type RsaHash } from './rsa.ts'
import { readToSign, type ToSign } from './to-be-signed.ts'

export interface SigningContext {
  readonly keys: NodeKeys
  readonly policy: () => NodePolicy
  readonly log: AuditLog
  readonly clock: Clock
}

type Of<K extends NodeRequest['kind']> = Extract<NodeRequest, { kind: K }>

/** Nonces a key has waiting at most; older ones go first. */
const NONCES_MAX = 8192
const SIGNED_MAX = 8192
/** Shares made between two turns of the event loop. */
const SHARES_A_TURN = 4
/** Lines of the log about what is not signed (I1). */
const UNSIGNED_LINES_A_MINUTE = 100

interface Judged {
  readonly toSign: ToSign | undefined
  readonly judgement: Judgement
}

export class NodeSigning {
  readonly #context: SigningContext
  readonly #nonces = new Map<string, { readonly epoch: number; readonly pool: Map<number, FrostNonces> }>()
  readonly #signed = new LRUCache<string, true>({ max: SIGNED_MAX })
  /** Messages signed, by zone. */
  readonly #rates: PerMinute
  /** Messages not signed, by coordinator. */
  readonly #unsigned: PerMinute
  readonly #inceptions: Inceptions
  #nonceNumber = 0

  constructor(context: SigningContext, inceptions: Inceptions) {
    this.#context = context
    this.#inceptions = inceptions
    this.#rates = new PerMinute(context.clock)
    this.#unsigned = new PerMinute(context.clock, (by, messages) => {
      const event = { atUnix: context.clock.now(), by, what: 'more was not signed', messages }
      // A log that cannot be written says so at the next signature.
      context.log.append([event]).catch(() => {})
    })
  }

  commit(coordinator: string, { key, epoch, count }: Of<'commit'>): NodeAnswer {
    const held = this.#held(coordinator, key, epoch)
    if ('code' in held) return { kind: 'refused', ...held }
    const { scheme, index, share } = held
    if (scheme.kind !== 'frost') return refused('NO_COMMITMENTS', 'RSA shares need none')
    const pool = this.#pool(held)
    const commitments: NumberedCommitment[] = []
    for (let left = count; left > 0; left--) {
      const nonces = scheme.quorum.commit({ index, value: share })
      const nonce = ++this.#nonceNumber
      pool.set(nonce, nonces)
      commitments.push({ ...nonces.commitment, nonce })
    }
    for (const oldest of pool.keys()) {
      if (pool.size <= NONCES_MAX) break
      pool.delete(oldest)
    }
    return { kind: 'commitments', commitments }
  }

  async sign(coordinator: string, request: Of<'sign'>): Promise<NodeAnswer> {
    const held = this.#held(coordinator, request.key, request.epoch)
    if ('code' in held) return { kind: 'refused', ...held }
    const { messages, sets } = request
    // I2: before anything may go wrong.
    const nonces = held.scheme.kind === 'frost' ? this.#take(held, sets ?? []) : []
    if (held.scheme.kind === 'frost' && sets?.length !== messages.length) {
      return refused('NO_COMMITMENTS', 'every message needs the commitments of its signers')
    }
    const judged = messages.map((message, at) => this.#judge(held, message, at, request))
    const { log } = this.#context
    await log.append(this.#events(coordinator, held, messages, judged))
    const results: SignResult[] = []
    for (const [at, message] of messages.entries()) {
      if (at % SHARES_A_TURN === SHARES_A_TURN - 1) await new Promise(resolve => setImmediate(resolve))
      const { judgement } = judged[at]!
      results.push(
        judgement.kind === 'allowed' ? this.#share(held, message, sets?.[at], nonces[at]) : judgement,
      )
    }
    return { kind: 'shares', results, auditLength: log.state.length, auditHead: log.state.head }
  }

  prove(coordinator: string, { key, epoch, messages }: Of<'prove'>): NodeAnswer {
    const held = this.#held(coordinator, key, epoch)
    if ('code' in held) return { kind: 'refused', ...held }
    const { scheme, share, index } = held
    if (scheme.kind !== 'rsa') return refused('NO_PROOF', 'EdDSA shares are checked without one')
    if (!messages.every(message => this.#signed.has(signedName(held, message)))) {
      return refused('NOT_SIGNED', 'proofs are made for messages that were signed here lately')
    }
    const proofs = messages.map(message => {
      const x = pkcs1Block(hashOfAlgorithm(held), message, scheme.quorum.octets)
      const own = { index, value: share }
      const { challenge, response } = scheme.quorum.prove(own, x)
      return {
        share: octetsOf(scheme.quorum.sign(own, x).value),
        challenge,
        response: signedOctets(response),
      }
    })
    return { kind: 'proofs', proofs }
  }

  #held(coordinator: string, key: string, epoch: number): HeldShare | { code: string; what: string } {
    const held = this.#context.keys.active(coordinator, key)
    if (held === undefined) return { code: 'KEY_UNKNOWN', what: 'there is no share of that key here' }
    if (held.parsed.epoch === epoch) return held
    return { code: 'EPOCH', what: `the share here is of epoch ${held.parsed.epoch}, not ${epoch}` }
  }

  /** Nonces for another epoch go: nobody can ask for them any more. */
  #pool({ coordinator, id, parsed }: HeldShare): Map<number, FrostNonces> {
    const name = `${coordinator} ${id}`
    const known = this.#nonces.get(name)
    if (known?.epoch === parsed.epoch) return known.pool
    const pool = new Map<number, FrostNonces>()
    this.#nonces.set(name, { epoch: parsed.epoch, pool })
    return pool
  }

  #take(held: HeldShare, sets: readonly (readonly NumberedCommitment[])[]): (FrostNonces | undefined)[] {
    const pool = this.#pool(held)
    return sets.map(set => {
      const number = set.find(({ index }) => index === held.index)?.nonce
      if (number === undefined) return undefined
      const nonces = pool.get(number)
      pool.delete(number)
      return nonces
    })
  }

  /** `at`: of its request. */
  #judge(held: HeldShare, message: Uint8Array, at: number, { approvals }: Of<'sign'>): Judged {
    const { policy, clock, keys } = this.#context
    const outcome = readToSign(message)
    if (outcome.kind === 'malformed') {
      return { toSign: undefined, judgement: { kind: 'refused', code: 'MALFORMED', what: outcome.what } }
    }
    const { toSign } = outcome
    const zone = nameFromText(held.parsed.zone)
    const rule = ruleOf(policy(), zone)
    if (rule === undefined) {
      const what = 'the policy has no rule for the zone'
      return { toSign, judgement: { kind: 'refused', code: 'POLICY_ZONE', what } }
    }
    if (at >= rule.messagesPerRequestMax) {
      const what = `more than ${rule.messagesPerRequestMax} messages in one request`
      return { toSign, judgement: { kind: 'refused', code: 'POLICY_BATCH', what } }
    }
    const nowUnix = clock.now()
    if (this.#inceptions.isSetBack(held.parsed.zone, nowUnix + rule.inceptionFutureSecondsMax)) {
      const what = 'the clock of this node was set back: it has signed for later times'
      return { toSign, judgement: { kind: 'refused', code: 'CLOCK', what } }
    }
    const ofZone = keys
      .all(held.coordinator)
      .filter(other => other.state === 'active' && other.parsed.zone === held.parsed.zone)
    const judgement = judge(toSign, {
      rule,
      key: {
        id: held.id,
        zone,
        role: held.parsed.role,
        algorithm: held.parsed.algorithm,
        keyTag: held.keyTag,
      },
      approvals,
      nowUnix,
      held: ofZone.map(({ dnskey }) => dnskey),
    })
    if (judgement.kind !== 'allowed') return { toSign, judgement }
    if (this.#rates.takes(held.parsed.zone, rule.messagesPerMinuteMax)) {
      this.#inceptions.note(held.parsed.zone, toSign.inceptionUnix)
      return { toSign, judgement }
    }
    const what = `more than ${rule.messagesPerMinuteMax} messages a minute`
    return { toSign, judgement: { kind: 'refused', code: 'POLICY_RATE', what } }
  }

  #events(
    by: string,
    held: HeldShare,
    messages: readonly Uint8Array[],
    judged: readonly Judged[],
  ): AuditEvent[] {
    const atUnix = this.#context.clock.now()
    return judged.flatMap(({ toSign, judgement }, at) => {
      const isTold = judgement.kind === 'allowed' || this.#unsigned.takes(by, UNSIGNED_LINES_A_MINUTE)
      if (!isTold) return []
      return {
        atUnix,
        by,
        what: 'sign',
        outcome: judgement.kind,
        ...(judgement.kind === 'refused' ? { code: judgement.code } : {}),
        key: held.id,
        epoch: held.parsed.epoch,
        zone: held.parsed.zone,
        sha256: createHash('sha256').update(messages[at]!).digest('hex'),
        ...(toSign === undefined ? {} : signedFields(toSign)),
      }
    })
  }

  #share(
    held: HeldShare,
    message: Uint8Array,
    set: readonly FrostCommitment[] | undefined,
    nonces: FrostNonces | undefined,
  ): SignResult {
    const own = { index: held.index, value: held.share }
    if (held.scheme.kind === 'rsa') {
      const { quorum } = held.scheme
      this.#signed.set(signedName(held, message), true)
      const x = pkcs1Block(hashOfAlgorithm(held), message, quorum.octets)
      return { kind: 'share', share: octetsOf(quorum.sign(own, x).value) }
    }
    if (nonces === undefined) {
      return {
        kind: 'refused',
        code: 'NONCE_SPENT',
        what: 'the nonces named are spent, or of an earlier start',
      }
    }
    try {
      const share = held.scheme.quorum.sign(own, nonces, set ?? [], message)
      if (share !== undefined) return { kind: 'share', share: share.value }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
    }
    return {
      kind: 'refused',
      code: 'COMMITMENTS',
      what: 'the commitments are not those of a session with this node',
    }
  }
}

function refused(code: string, what: string): NodeAnswer {
  return { kind: 'refused', code, what }
}

/** RFC 5702 §3: algorithm 8 is SHA-256, 10 is SHA-512. */
function hashOfAlgorithm({ parsed }: HeldShare): RsaHash {
  return parsed.algorithm === 10 ? 'sha512' : 'sha256'
}

function signedName(held: HeldShare, message: Uint8Array): string {
  return `${held.id} ${held.parsed.epoch} ${createHash('sha256').update(message).digest('hex')}`
}

function signedFields({
  owner,
  type,
  inceptionUnix,
  expirationUnix,
}: ToSign): Record<string, string | number> {
  return { owner: nameToText(owner), type: typeToText(type), inceptionUnix, expirationUnix }
}
